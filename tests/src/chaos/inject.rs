//! Executes the faults of the schedule: each begins at its time and is undone after its duration.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use regua_sandbox::{Effect, Fault as GatewayFault, FaultOn, InstanceState};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::deployment::Deployment;
use super::erp::now;
use super::faults::{Cut, Fault, Link};
use super::instances::instance_name;
use super::schedule::PlannedFault;

const DELAY: Duration = Duration::from_millis(400);

/// An executed fault with its times, in milliseconds since 1970.
#[derive(Clone, Debug)]
pub(crate) struct InjectedFault {
    pub(crate) fault: Fault,
    pub(crate) began: i64,
    /// When the target works again.
    pub(crate) ended: i64,
}

/// Executes all faults, without those of RabbitMQ if the run has none.
pub(crate) async fn all(
    deployment: &Arc<Deployment>,
    schedule: Vec<PlannedFault>,
    begun: Instant,
) -> Vec<InjectedFault> {
    let mut locks: HashMap<String, Arc<Mutex<()>>> = HashMap::new();
    let mut running = JoinSet::new();
    for (id, planned) in schedule.into_iter().enumerate() {
        if deployment.broker.is_none() && planned.fault.needs_broker() {
            continue;
        }
        let lock = Arc::clone(locks.entry(planned.fault.target()).or_default());
        running.spawn(one(Arc::clone(deployment), id, planned, begun, lock));
    }
    let mut injected = running.join_all().await;
    injected.sort_by_key(|injected| injected.began);
    injected
}

async fn one(
    deployment: Arc<Deployment>,
    id: usize,
    planned: PlannedFault,
    begun: Instant,
    lock: Arc<Mutex<()>>,
) -> InjectedFault {
    sleep_until(begun + planned.at).await;
    // The previous fault of the target may last longer than planned, if a server starts slowly.
    let _lock = lock.lock().await;
    let PlannedFault { fault, lasts, .. } = planned;
    let began = now();
    match &fault {
        Fault::Kill(program) => {
            deployment.kill(*program).await;
            sleep(lasts).await;
            deployment.start(*program).await;
        }
        Fault::Die(program, failpoint, times) => {
            deployment.kill(*program).await;
            deployment.start_with_failpoint(*program, &format!("{failpoint}:{times}")).await;
            deployment.wait_for_exit_or_kill(*program, lasts).await;
            deployment.start(*program).await;
        }
        Fault::Freeze(program) => {
            deployment.freeze(*program, true).await;
            sleep(lasts).await;
            deployment.freeze(*program, false).await;
        }
        Fault::KillDatabase | Fault::StopDatabase | Fault::FreezeDatabase | Fault::CutConnections => {
            database(&deployment, &fault, lasts).await;
        }
        Fault::KillBroker | Fault::WipeBroker | Fault::FreezeBroker => broker(&deployment, &fault, lasts).await,
        Fault::Cut(link, cut) => network(&deployment, *link, *cut, lasts).await,
        Fault::Answer { .. } | Fault::Blind(_) => {
            deployment.gateway.set_fault(id, Some(gateway_fault(&fault, id))).await;
            sleep(lasts).await;
            deployment.gateway.set_fault(id, None).await;
        }
        Fault::Instance(instance, state) => {
            deployment.gateway.set_state(&instance_name(*instance), *state).await;
            sleep(lasts).await;
            deployment.gateway.set_state(&instance_name(*instance), InstanceState::Open).await;
        }
    }
    InjectedFault { fault, began, ended: now() }
}

async fn database(deployment: &Deployment, fault: &Fault, lasts: Duration) {
    let mut server = deployment.database.lock().await;
    match fault {
        Fault::KillDatabase => server.kill().await,
        Fault::StopDatabase => server.stop().await,
        Fault::FreezeDatabase => server.freeze().await,
        _ => return server.cut_connections().await,
    }
    sleep(lasts).await;
    if *fault == Fault::FreezeDatabase { server.thaw().await } else { server.start_again().await }
}

async fn broker(deployment: &Deployment, fault: &Fault, lasts: Duration) {
    let Some(server) = &deployment.broker else { return };
    let mut server = server.lock().await;
    match fault {
        Fault::KillBroker => server.kill().await,
        Fault::FreezeBroker => server.freeze().await,
        _ => return server.wipe().await,
    }
    sleep(lasts).await;
    if *fault == Fault::FreezeBroker { server.thaw().await } else { server.start_again().await }
}

async fn network(deployment: &Deployment, link: Link, cut: Cut, lasts: Duration) {
    let proxy = &deployment.proxies[&link];
    match cut {
        Cut::Close => proxy.close(),
        Cut::DropSilently => proxy.drop_silently(),
        Cut::Delay => proxy.delay(DELAY),
        Cut::Reset => return proxy.reset(),
        Cut::HalfClose => return proxy.half_close(),
    }
    sleep(lasts).await;
    if cut == Cut::Close { proxy.open() } else { proxy.heal() }
}

fn gateway_fault(fault: &Fault, id: usize) -> GatewayFault {
    let seed = u64::try_from(id).unwrap_or(0);
    match fault {
        Fault::Answer { effect, left, latency_ms, probability, instance } => GatewayFault {
            instance: instance.map(instance_name),
            probability: Some(*probability),
            seed,
            latency_ms: *latency_ms,
            effect: *effect,
            left: *left,
            ..GatewayFault::default()
        },
        Fault::Blind(instance) => GatewayFault {
            on: FaultOn::Find,
            instance: instance.map(instance_name),
            effect: Effect::FindSeesNothing,
            ..GatewayFault::default()
        },
        other => unreachable!("{other:?} is no fault of the gateway"),
    }
}
