//! The kinds of faults. `draw` chooses the target and the duration of a fault at random.

use std::time::Duration;

use fastrand::Rng;
use regua_sandbox::{Effect, InstanceState};

use super::faults::{APIS, Cut, Fault, Link, PERIODICS, Program, WORKERS};
use super::instances::{INSTANCES, TENANTS};

#[derive(Clone, Copy, Debug)]
pub(crate) enum FaultKind {
    Kill(fn(&mut Rng) -> Program),
    /// A program aborts at one of these failpoints.
    Die(fn(&mut Rng) -> Program, &'static [&'static str]),
    Freeze(fn(&mut Rng) -> Program),
    /// A fault of PostgreSQL or RabbitMQ, and whether it has a duration.
    Server(fn() -> Fault, bool),
    Cut(fn(&mut Rng) -> Link, Cut),
    /// Wrong answers of the gateway, and whether the message leaves, if the effect does not determine it.
    Answer(Effect, Option<bool>),
    Latency,
    Blind,
    Instance(InstanceState),
}

fn api(rng: &mut Rng) -> Program {
    Program::Api(rng.usize(..APIS))
}

fn worker(rng: &mut Rng) -> Program {
    Program::Worker(rng.usize(..WORKERS))
}

fn periodic(rng: &mut Rng) -> Program {
    Program::Periodic(rng.usize(..PERIODICS))
}

fn relay(rng: &mut Rng) -> Program {
    if rng.bool() { api(rng) } else { periodic(rng) }
}

fn gateway(_: &mut Rng) -> Program {
    Program::Gateway
}

fn any_to_database(rng: &mut Rng) -> Link {
    Link::Database(any(rng))
}

fn worker_to_database(rng: &mut Rng) -> Link {
    Link::Database(worker(rng))
}

fn any_to_broker(rng: &mut Rng) -> Link {
    Link::Broker(any(rng))
}

fn to_gateway(rng: &mut Rng) -> Link {
    Link::Gateway(rng.usize(..TENANTS))
}

fn any(rng: &mut Rng) -> Program {
    match rng.u8(..3) {
        0 => api(rng),
        1 => worker(rng),
        _ => periodic(rng),
    }
}

/// Every kind once, and some faults of workers, which hold most state, twice.
pub(crate) const FAULT_KINDS: &[FaultKind] = &[
    FaultKind::Kill(worker),
    FaultKind::Kill(worker),
    FaultKind::Kill(api),
    FaultKind::Kill(periodic),
    FaultKind::Kill(gateway),
    FaultKind::Die(worker, &["mark::before_commit"]),
    FaultKind::Die(worker, &["post::before"]),
    FaultKind::Die(worker, &["post::after"]),
    FaultKind::Die(worker, &["finish::before_commit", "finish::committed"]),
    FaultKind::Die(worker, &["take::committed", "claim::committed", "release::before_commit", "release::committed"]),
    FaultKind::Die(api, &["intake::before_commit"]),
    FaultKind::Die(api, &["intake::committed"]),
    FaultKind::Die(relay, &["relay::before_publish", "relay::published"]),
    FaultKind::Die(periodic, &["look::claimed", "learn::before_commit", "learn::committed"]),
    FaultKind::Freeze(worker),
    FaultKind::Freeze(worker),
    FaultKind::Freeze(api),
    FaultKind::Freeze(periodic),
    FaultKind::Freeze(gateway),
    FaultKind::Server(|| Fault::KillDatabase, true),
    FaultKind::Server(|| Fault::StopDatabase, true),
    FaultKind::Server(|| Fault::FreezeDatabase, true),
    FaultKind::Server(|| Fault::CutConnections, false),
    FaultKind::Server(|| Fault::KillBroker, true),
    FaultKind::Server(|| Fault::WipeBroker, false),
    FaultKind::Server(|| Fault::FreezeBroker, true),
    FaultKind::Cut(worker_to_database, Cut::Close),
    FaultKind::Cut(worker_to_database, Cut::DropSilently),
    FaultKind::Cut(any_to_database, Cut::Delay),
    FaultKind::Cut(any_to_database, Cut::Reset),
    FaultKind::Cut(any_to_database, Cut::HalfClose),
    FaultKind::Cut(any_to_broker, Cut::Close),
    FaultKind::Cut(any_to_broker, Cut::DropSilently),
    FaultKind::Cut(any_to_broker, Cut::Delay),
    FaultKind::Cut(any_to_broker, Cut::Reset),
    FaultKind::Cut(any_to_broker, Cut::HalfClose),
    FaultKind::Cut(to_gateway, Cut::Close),
    FaultKind::Cut(to_gateway, Cut::DropSilently),
    FaultKind::Cut(to_gateway, Cut::Delay),
    FaultKind::Cut(to_gateway, Cut::Reset),
    FaultKind::Cut(to_gateway, Cut::HalfClose),
    FaultKind::Answer(Effect::ReplyLost, None),
    FaultKind::Answer(Effect::Hang, Some(true)),
    FaultKind::Answer(Effect::Hang, Some(false)),
    FaultKind::Answer(Effect::TimedOut400, Some(true)),
    FaultKind::Answer(Effect::TimedOut400, Some(false)),
    FaultKind::Answer(Effect::Database400, None),
    FaultKind::Answer(Effect::Html502, Some(true)),
    FaultKind::Answer(Effect::Html502, Some(false)),
    FaultKind::Answer(Effect::Empty201, None),
    FaultKind::Answer(Effect::ConnectionClosed400, None),
    FaultKind::Answer(Effect::ConnectionClosed500, None),
    FaultKind::Answer(Effect::Envelope500, None),
    FaultKind::Answer(Effect::Unauthorized401, None),
    FaultKind::Answer(Effect::NotFound404, None),
    FaultKind::Answer(Effect::License503, None),
    FaultKind::Latency,
    FaultKind::Blind,
    FaultKind::Instance(InstanceState::Close),
    FaultKind::Instance(InstanceState::Connecting),
];

/// A fault of this kind with its duration, which ends before the last look for an unknown attempt.
pub(crate) fn draw(kind: FaultKind, rng: &mut Rng) -> (Fault, Duration) {
    let fault = match kind {
        FaultKind::Kill(program) => Fault::Kill(program(rng)),
        FaultKind::Die(program, failpoints) => {
            let (program, failpoint) = (program(rng), failpoints[rng.usize(..failpoints.len())]);
            // A worker reaches most of its failpoints many times a second, the other programs seldom.
            let times = if matches!(program, Program::Worker(_)) { rng.u32(1..40) } else { 1 };
            return (Fault::Die(program, failpoint, times), seconds(rng, 4.0, 8.0));
        }
        FaultKind::Freeze(program) => Fault::Freeze(program(rng)),
        FaultKind::Server(fault, lasts) => {
            return (fault(), if lasts { seconds(rng, 0.3, 4.0) } else { Duration::ZERO });
        }
        FaultKind::Cut(link, Cut::Reset) => return (Fault::Cut(link(rng), Cut::Reset), Duration::ZERO),
        FaultKind::Cut(link, cut) => Fault::Cut(link(rng), cut),
        FaultKind::Answer(effect, left) => answer(rng, effect, left, 0),
        FaultKind::Latency => {
            let latency = rng.u64(200..4_500);
            answer(rng, Effect::None, None, latency)
        }
        FaultKind::Blind => return (Fault::Blind(one_or_all(rng)), seconds(rng, 4.0, 8.0)),
        FaultKind::Instance(state) => Fault::Instance(rng.usize(..INSTANCES), state),
    };
    (fault, seconds(rng, 0.3, 5.0))
}

fn answer(rng: &mut Rng, effect: Effect, left: Option<bool>, latency_ms: u64) -> Fault {
    let probability = 0.2 + 0.6 * rng.f64();
    Fault::Answer { effect, left, latency_ms, probability, instance: one_or_all(rng) }
}

fn one_or_all(rng: &mut Rng) -> Option<usize> {
    rng.bool().then(|| rng.usize(..INSTANCES))
}

fn seconds(rng: &mut Rng, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(least + (most - least) * rng.f64())
}
