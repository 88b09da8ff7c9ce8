//! Which faults a run injects, where and when: pure, and the same for the same seed. How they are done is in `inject`.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use regua_sandbox::{Effect, InstanceState};

/// Between the beginnings of two faults, on average.
const STEP: Duration = Duration::from_secs(2);

/// After so many faults nothing happens for a while, so that recovery can be seen to its end.
const BETWEEN_CALMS: usize = 20;
const CALM: Duration = Duration::from_secs(10);

/// A program of the fleet, or its gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    /// `regua-api`.
    Api(usize),
    /// `regua-worker`.
    Worker(usize),
    /// `regua-periodic`.
    Periodic(usize),
    /// `regua-sandbox`.
    Gateway,
}

/// How many of each program run.
pub(super) const APIS: usize = 2;
/// Workers.
pub(super) const WORKERS: usize = 3;
/// Periodics.
pub(super) const PERIODICS: usize = 2;

impl Program {
    /// Those that talk to the database and the broker.
    pub fn fleet() -> Vec<Self> {
        let apis = (0..APIS).map(Self::Api);
        apis.chain((0..WORKERS).map(Self::Worker)).chain((0..PERIODICS).map(Self::Periodic)).collect()
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(n) => write!(f, "api-{n}"),
            Self::Worker(n) => write!(f, "worker-{n}"),
            Self::Periodic(n) => write!(f, "periodic-{n}"),
            Self::Gateway => f.write_str("gateway"),
        }
    }
}

/// A way over the network that has a proxy in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// To PostgreSQL.
    Database(Program),
    /// To RabbitMQ.
    Broker(Program),
    /// From whoever sends for this tenant to its gateway.
    Gateway(usize),
}

/// What a proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cut {
    /// Connections are closed, new ones too.
    Close,
    /// Everything goes into nothing, and nobody is told; a connection that lost something stays silent for ever.
    DropSilently,
    /// Everything comes later.
    Delay,
    /// Connections are reset once.
    Reset,
    /// One direction ends, the other stays.
    HalfClose,
}

/// One fault.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// `kill -9`, and started again at the end.
    Kill(Program),
    /// Ended, and started so that it dies by itself when it comes to a place for so many times; started again at the end.
    Die(Program, &'static str, u32),
    /// SIGSTOP, and SIGCONT at the end.
    Freeze(Program),
    /// `kill -9` of PostgreSQL.
    KillDatabase,
    /// PostgreSQL is stopped in order.
    StopDatabase,
    /// SIGSTOP of PostgreSQL.
    FreezeDatabase,
    /// Everybody's database connections are cut once.
    CutConnections,
    /// `kill -9` of RabbitMQ.
    KillBroker,
    /// RabbitMQ loses all it has.
    WipeBroker,
    /// SIGSTOP of RabbitMQ.
    FreezeBroker,
    /// Something happens to a way.
    Cut(Link, Cut),
    /// The gateway answers a share of the sends like this; of one number, or of all.
    Answer {
        /// What the sender sees.
        effect: Effect,
        /// Whether the message leaves, where the effect leaves that open.
        left: Option<bool>,
        /// Waited before anything leaves.
        latency_ms: u64,
        /// Of the sends, from 0 to 1.
        share: f64,
        /// Which; none: all.
        number: Option<usize>,
    },
    /// findMessages sees nothing; of one number, or of all.
    Blind(Option<usize>),
    /// A number is in this state.
    Number(usize, InstanceState),
}

impl Fault {
    /// The kind, for counting.
    pub fn kind(&self) -> String {
        let plain = |program: &Program| program.to_string().split('-').next().unwrap_or_default().to_owned();
        match self {
            Self::Kill(program) => format!("kill {}", plain(program)),
            Self::Die(program, place, _) => format!("{} dies at {place}", plain(program)),
            Self::Freeze(program) => format!("freeze {}", plain(program)),
            Self::Cut(link, cut) => {
                let way = match link {
                    Link::Database(program) => format!("{} to database", plain(program)),
                    Link::Broker(program) => format!("{} to broker", plain(program)),
                    Link::Gateway(_) => "fleet to gateway".to_owned(),
                };
                format!("{way}: {cut:?}")
            }
            Self::Answer { effect, left, .. } => match left {
                Some(left) => format!("answer {effect:?}, left {left}"),
                None => format!("answer {effect:?}"),
            },
            Self::Blind(_) => "find sees nothing".to_owned(),
            Self::Number(_, state) => format!("number {state:?}"),
            other => format!("{other:?}"),
        }
    }

    /// What cannot suffer two faults at once.
    pub fn concerns(&self) -> String {
        match self {
            Self::Kill(program) | Self::Die(program, ..) | Self::Freeze(program) => program.to_string(),
            Self::KillDatabase | Self::StopDatabase | Self::FreezeDatabase | Self::CutConnections => "database".into(),
            Self::KillBroker | Self::WipeBroker | Self::FreezeBroker => "broker".into(),
            Self::Cut(link, _) => format!("{link:?}"),
            Self::Answer { number, .. } => format!("answers {number:?}"),
            Self::Blind(_) => "find".into(),
            Self::Number(number, _) => format!("number {number}"),
        }
    }

    /// Whether it is about RabbitMQ, or the way to it.
    pub(super) fn is_of_the_broker(&self) -> bool {
        matches!(self, Self::KillBroker | Self::WipeBroker | Self::FreezeBroker | Self::Cut(Link::Broker(_), _))
    }

    /// How long it takes after its end until what it concerns is back.
    fn aftermath(&self) -> Duration {
        match self {
            Self::KillBroker | Self::WipeBroker => Duration::from_secs(10),
            Self::KillDatabase | Self::StopDatabase => Duration::from_secs(3),
            _ => Duration::from_millis(500),
        }
    }
}

/// A fault with its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// From the beginning of the run.
    pub at: Duration,
    /// From its beginning to its end.
    pub lasts: Duration,
    /// What.
    pub fault: Fault,
}

/// What the faults may be about.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Tenants, each with a gateway of its own.
    pub tenants: usize,
    /// WhatsApp numbers of all tenants.
    pub numbers: usize,
}

/// How long so many faults take.
pub fn span(faults: usize) -> Duration {
    beginning_of(faults).max(Duration::from_secs(10))
}

fn beginning_of(fault: usize) -> Duration {
    let times = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    STEP * times(fault) + CALM * times(fault / BETWEEN_CALMS)
}

/// The faults of a run, by time. Every kind comes before any comes again.
pub fn schedule(seed: u64, faults: usize, scene: Scene) -> Vec<Planned> {
    let mut rng = Rng::with_seed(seed);
    let mut deck: Vec<super::deck::Card> = Vec::new();
    let mut free_at: HashMap<String, Duration> = HashMap::new();
    let mut planned: Vec<_> = (0..faults)
        .map(|n| {
            if deck.is_empty() {
                deck = super::deck::CARDS.to_vec();
                rng.shuffle(&mut deck);
            }
            let card = deck.pop().unwrap_or(super::deck::CARDS[0]);
            let (fault, lasts) = super::deck::play(card, &mut rng, scene);
            let wanted = beginning_of(n) + STEP.mul_f64(rng.f64());
            let free_at = free_at.entry(fault.concerns()).or_default();
            let at = wanted.max(*free_at);
            *free_at = at + lasts + fault.aftermath();
            Planned { at, lasts, fault }
        })
        .collect();
    planned.sort_by_key(|planned| planned.at);
    planned
}
