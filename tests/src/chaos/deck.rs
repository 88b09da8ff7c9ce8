//! The kinds of faults, as cards that are shuffled; playing one draws what it is about and how long it lasts. Pure.

use std::time::Duration;

use fastrand::Rng;
use regua_sandbox::{Effect, InstanceState};

use super::schedule::{APIS, Cut, Fault, Link, PERIODICS, Program, Scene, WORKERS};

/// A kind of fault.
#[derive(Clone, Copy, Debug)]
pub enum Card {
    /// `kill -9` of a program.
    Kill(fn(&mut Rng) -> Program),
    /// A program dies by itself at one of these places.
    Die(fn(&mut Rng) -> Program, &'static [&'static str]),
    /// SIGSTOP of a program.
    Freeze(fn(&mut Rng) -> Program),
    /// A fault of PostgreSQL or RabbitMQ, and whether it lasts.
    Server(fn() -> Fault, bool),
    /// Something on a way to a server.
    Cut(fn(&mut Rng, Scene) -> Link, Cut),
    /// Answers of the gateway, where that is open whether the message leaves.
    Answer(Effect, Option<bool>),
    /// Slow answers.
    Latency,
    /// findMessages sees nothing.
    Blind,
    /// A number is not connected.
    Number(InstanceState),
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

/// Whoever publishes doorbells.
fn relay(rng: &mut Rng) -> Program {
    if rng.bool() { api(rng) } else { periodic(rng) }
}

fn gateway(_: &mut Rng) -> Program {
    Program::Gateway
}

fn any_to_database(rng: &mut Rng, _: Scene) -> Link {
    Link::Database(any(rng))
}

fn worker_to_database(rng: &mut Rng, _: Scene) -> Link {
    Link::Database(worker(rng))
}

fn any_to_broker(rng: &mut Rng, _: Scene) -> Link {
    Link::Broker(any(rng))
}

fn to_gateway(rng: &mut Rng, scene: Scene) -> Link {
    Link::Gateway(rng.usize(..scene.tenants))
}

fn any(rng: &mut Rng) -> Program {
    match rng.u8(..3) {
        0 => api(rng),
        1 => worker(rng),
        _ => periodic(rng),
    }
}

/// Every kind once; workers, which have most to lose, more often.
pub const CARDS: &[Card] = &[
    Card::Kill(worker),
    Card::Kill(worker),
    Card::Kill(api),
    Card::Kill(periodic),
    Card::Kill(gateway),
    Card::Die(worker, &["mark::before_commit"]),
    Card::Die(worker, &["post::before"]),
    Card::Die(worker, &["post::after"]),
    Card::Die(worker, &["finish::before_commit", "finish::committed"]),
    Card::Die(worker, &["take::committed", "claim::committed", "release::before_commit", "release::committed"]),
    Card::Die(api, &["intake::before_commit"]),
    Card::Die(api, &["intake::committed"]),
    Card::Die(relay, &["relay::taken", "relay::published"]),
    Card::Die(periodic, &["look::taken", "learn::before_commit", "learn::committed"]),
    Card::Freeze(worker),
    Card::Freeze(worker),
    Card::Freeze(api),
    Card::Freeze(periodic),
    Card::Freeze(gateway),
    Card::Server(|| Fault::KillDatabase, true),
    Card::Server(|| Fault::StopDatabase, true),
    Card::Server(|| Fault::FreezeDatabase, true),
    Card::Server(|| Fault::CutConnections, false),
    Card::Server(|| Fault::KillBroker, true),
    Card::Server(|| Fault::WipeBroker, false),
    Card::Server(|| Fault::FreezeBroker, true),
    Card::Cut(worker_to_database, Cut::Close),
    Card::Cut(worker_to_database, Cut::DropSilently),
    Card::Cut(any_to_database, Cut::Delay),
    Card::Cut(any_to_database, Cut::Reset),
    Card::Cut(any_to_database, Cut::HalfClose),
    Card::Cut(any_to_broker, Cut::Close),
    Card::Cut(any_to_broker, Cut::DropSilently),
    Card::Cut(any_to_broker, Cut::Delay),
    Card::Cut(any_to_broker, Cut::Reset),
    Card::Cut(any_to_broker, Cut::HalfClose),
    Card::Cut(to_gateway, Cut::Close),
    Card::Cut(to_gateway, Cut::DropSilently),
    Card::Cut(to_gateway, Cut::Delay),
    Card::Cut(to_gateway, Cut::Reset),
    Card::Cut(to_gateway, Cut::HalfClose),
    Card::Answer(Effect::ReplyLost, None),
    Card::Answer(Effect::Hang, Some(true)),
    Card::Answer(Effect::Hang, Some(false)),
    Card::Answer(Effect::TimedOut400, Some(true)),
    Card::Answer(Effect::TimedOut400, Some(false)),
    Card::Answer(Effect::Database400, None),
    Card::Answer(Effect::Html502, Some(true)),
    Card::Answer(Effect::Html502, Some(false)),
    Card::Answer(Effect::Empty201, None),
    Card::Answer(Effect::ConnectionClosed400, None),
    Card::Answer(Effect::ConnectionClosed500, None),
    Card::Answer(Effect::Envelope500, None),
    Card::Answer(Effect::Unauthorized401, None),
    Card::Answer(Effect::NotFound404, None),
    Card::Answer(Effect::License503, None),
    Card::Latency,
    Card::Blind,
    Card::Number(InstanceState::Close),
    Card::Number(InstanceState::Connecting),
];

/// The fault, and how long it lasts. None lasts longer than the last look for an unconfirmed message is away.
pub(super) fn play(card: Card, rng: &mut Rng, scene: Scene) -> (Fault, Duration) {
    let fault = match card {
        Card::Kill(program) => Fault::Kill(program(rng)),
        Card::Die(program, places) => {
            let (program, place) = (program(rng), places[rng.usize(..places.len())]);
            // A worker comes to most of its places many times a second, the others seldom.
            let times = if matches!(program, Program::Worker(_)) { rng.u32(1..40) } else { 1 };
            return (Fault::Die(program, place, times), seconds(rng, 4.0, 8.0));
        }
        Card::Freeze(program) => Fault::Freeze(program(rng)),
        Card::Server(fault, lasts) => return (fault(), if lasts { seconds(rng, 0.3, 4.0) } else { Duration::ZERO }),
        Card::Cut(link, Cut::Reset) => return (Fault::Cut(link(rng, scene), Cut::Reset), Duration::ZERO),
        Card::Cut(link, cut) => Fault::Cut(link(rng, scene), cut),
        Card::Answer(effect, left) => answer(rng, scene, effect, left, 0),
        Card::Latency => {
            let latency = rng.u64(200..4_500);
            answer(rng, scene, Effect::None, None, latency)
        }
        Card::Blind => return (Fault::Blind(one_or_all(rng, scene)), seconds(rng, 4.0, 8.0)),
        Card::Number(state) => Fault::Number(rng.usize(..scene.numbers), state),
    };
    (fault, seconds(rng, 0.3, 5.0))
}

fn answer(rng: &mut Rng, scene: Scene, effect: Effect, left: Option<bool>, latency_ms: u64) -> Fault {
    let share = 0.2 + 0.6 * rng.f64();
    Fault::Answer { effect, left, latency_ms, share, number: one_or_all(rng, scene) }
}

fn one_or_all(rng: &mut Rng, scene: Scene) -> Option<usize> {
    rng.bool().then(|| rng.usize(..scene.numbers))
}

fn seconds(rng: &mut Rng, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(least + (most - least) * rng.f64())
}
