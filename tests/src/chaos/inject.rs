//! Doing the faults of the schedule: each begins at its time, lasts, and is undone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use regua_sandbox::{Effect, Fault as GatewayFault, FaultOn, InstanceState};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::erp::now;
use super::schedule::{Cut, Fault, Link, Planned};
use super::stage::Stage;
use super::tenants::name_of;

/// How much slower a delayed way is, in each direction.
const DELAY: Duration = Duration::from_millis(400);

/// A fault as it was done, in milliseconds since 1970.
#[derive(Clone, Debug)]
pub(crate) struct Injected {
    pub(crate) fault: Fault,
    pub(crate) began: i64,
    /// When what it concerned was back.
    pub(crate) ended: i64,
}

/// Does all of them; not those of a broker that is not there.
pub(crate) async fn all(stage: &Arc<Stage>, schedule: Vec<Planned>, begun: Instant) -> Vec<Injected> {
    let mut turns: HashMap<String, Arc<Mutex<()>>> = HashMap::new();
    let mut running = JoinSet::new();
    for (id, planned) in schedule.into_iter().enumerate() {
        if stage.broker.is_none() && planned.fault.is_of_the_broker() {
            continue;
        }
        let turn = Arc::clone(turns.entry(planned.fault.concerns()).or_default());
        running.spawn(one(Arc::clone(stage), id, planned, begun, turn));
    }
    let mut injected = running.join_all().await;
    injected.sort_by_key(|injected| injected.began);
    injected
}

async fn one(stage: Arc<Stage>, id: usize, planned: Planned, begun: Instant, turn: Arc<Mutex<()>>) -> Injected {
    sleep_until(begun + planned.at).await;
    // A server may have taken longer to come back than the schedule thought.
    let _turn = turn.lock().await;
    let Planned { fault, lasts, .. } = planned;
    let began = now();
    match &fault {
        Fault::Kill(program) => {
            stage.kill(*program).await;
            sleep(lasts).await;
            stage.start(*program).await;
        }
        Fault::Die(program, place, times) => {
            stage.kill(*program).await;
            stage.start_doomed(*program, &format!("{place}:{times}")).await;
            stage.died(*program, lasts).await;
            stage.start(*program).await;
        }
        Fault::Freeze(program) => {
            stage.freeze(*program, true).await;
            sleep(lasts).await;
            stage.freeze(*program, false).await;
        }
        Fault::KillDatabase | Fault::StopDatabase | Fault::FreezeDatabase | Fault::CutConnections => {
            database(&stage, &fault, lasts).await;
        }
        Fault::KillBroker | Fault::WipeBroker | Fault::FreezeBroker => broker(&stage, &fault, lasts).await,
        Fault::Cut(link, cut) => network(&stage, *link, *cut, lasts).await,
        Fault::Answer { .. } | Fault::Blind(_) => {
            stage.controls.set(id, Some(at_the_gateway(&fault, id))).await;
            sleep(lasts).await;
            stage.controls.set(id, None).await;
        }
        Fault::Number(number, state) => {
            stage.controls.move_to(&name_of(*number), *state).await;
            sleep(lasts).await;
            stage.controls.move_to(&name_of(*number), InstanceState::Open).await;
        }
    }
    Injected { fault, began, ended: now() }
}

async fn database(stage: &Stage, fault: &Fault, lasts: Duration) {
    let mut server = stage.database.lock().await;
    match fault {
        Fault::KillDatabase => server.kill().await,
        Fault::StopDatabase => server.stop().await,
        Fault::FreezeDatabase => server.freeze().await,
        _ => return server.cut_connections().await,
    }
    sleep(lasts).await;
    if *fault == Fault::FreezeDatabase { server.thaw().await } else { server.start_again().await }
}

async fn broker(stage: &Stage, fault: &Fault, lasts: Duration) {
    let Some(server) = &stage.broker else { return };
    let mut server = server.lock().await;
    match fault {
        Fault::KillBroker => server.kill().await,
        Fault::FreezeBroker => server.freeze().await,
        _ => return server.wipe().await,
    }
    sleep(lasts).await;
    if *fault == Fault::FreezeBroker { server.thaw().await } else { server.start_again().await }
}

async fn network(stage: &Stage, link: Link, cut: Cut, lasts: Duration) {
    let proxy = &stage.proxies[&link];
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

fn at_the_gateway(fault: &Fault, id: usize) -> GatewayFault {
    let seed = u64::try_from(id).unwrap_or(0);
    match fault {
        Fault::Answer { effect, left, latency_ms, share, number } => GatewayFault {
            instance: number.map(name_of),
            probability: Some(*share),
            seed,
            latency_ms: *latency_ms,
            effect: *effect,
            left: *left,
            ..GatewayFault::default()
        },
        Fault::Blind(number) => GatewayFault {
            on: FaultOn::Find,
            instance: number.map(name_of),
            effect: Effect::FindSeesNothing,
            ..GatewayFault::default()
        },
        other => unreachable!("{other:?} is none of the gateway's"),
    }
}
