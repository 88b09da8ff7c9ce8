//! The faults of a run and their targets. `schedule` chooses the times, `inject` executes the faults.

use std::fmt;
use std::time::Duration;

use regua_sandbox::{Effect, InstanceState};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Program {
    Api(usize),
    Worker(usize),
    Periodic(usize),
    Gateway,
}

pub(crate) const APIS: usize = 2;
pub(crate) const WORKERS: usize = 3;
pub(crate) const PERIODICS: usize = 2;

impl Program {
    /// The programs that use the database and the broker.
    pub(crate) fn fleet() -> Vec<Self> {
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

/// A network connection through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Link {
    Database(Program),
    Broker(Program),
    /// From all workers to the gateway of this tenant.
    Gateway(usize),
}

/// A fault of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cut {
    Close,
    /// Data is lost without an error; a connection that lost data stays silent for ever.
    DropSilently,
    Delay,
    Reset,
    /// The direction to the server ends, the other one continues.
    HalfClose,
}

/// A fault. Programs and servers that are killed, stopped or frozen work again at the end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    Kill(Program),
    /// The program aborts when it reaches a failpoint for the given number of times.
    Die(Program, &'static str, u32),
    Freeze(Program),
    KillDatabase,
    StopDatabase,
    FreezeDatabase,
    /// PostgreSQL terminates all client connections.
    CutConnections,
    KillBroker,
    WipeBroker,
    FreezeBroker,
    Cut(Link, Cut),
    /// Wrong or slow answers of the gateway.
    Answer {
        effect: Effect,
        /// Whether the message leaves, if the effect does not determine it.
        left: Option<bool>,
        /// Delay before the message leaves.
        latency_ms: u64,
        /// Probability for each post, from 0 to 1.
        probability: f64,
        /// The affected instance; none: all.
        instance: Option<usize>,
    },
    /// The gateway's findMessages returns no message of one instance, or of all.
    Blind(Option<usize>),
    Instance(usize, InstanceState),
}

impl Fault {
    pub(crate) fn label(&self) -> String {
        let plain = |program: &Program| program.to_string().split('-').next().unwrap_or_default().to_owned();
        match self {
            Self::Kill(program) => format!("kill {}", plain(program)),
            Self::Die(program, place, _) => format!("{} dies at {place}", plain(program)),
            Self::Freeze(program) => format!("freeze {}", plain(program)),
            Self::Cut(link, cut) => {
                let path = match link {
                    Link::Database(program) => format!("{} to database", plain(program)),
                    Link::Broker(program) => format!("{} to broker", plain(program)),
                    Link::Gateway(_) => "fleet to gateway".to_owned(),
                };
                format!("{path}: {cut:?}")
            }
            Self::Answer { effect, left, .. } => match left {
                Some(left) => format!("answer {effect:?}, left {left}"),
                None => format!("answer {effect:?}"),
            },
            Self::Blind(_) => "find sees nothing".to_owned(),
            Self::Instance(_, state) => format!("instance {state:?}"),
            other => format!("{other:?}"),
        }
    }

    /// Faults of one target never overlap.
    pub(crate) fn target(&self) -> String {
        match self {
            Self::Kill(program) | Self::Die(program, ..) | Self::Freeze(program) => program.to_string(),
            Self::KillDatabase | Self::StopDatabase | Self::FreezeDatabase | Self::CutConnections => "database".into(),
            Self::KillBroker | Self::WipeBroker | Self::FreezeBroker => "broker".into(),
            Self::Cut(link, _) => format!("{link:?}"),
            Self::Answer { instance, .. } => format!("answers {instance:?}"),
            Self::Blind(_) => "find".into(),
            Self::Instance(instance, _) => format!("instance {instance}"),
        }
    }

    pub(crate) fn needs_broker(&self) -> bool {
        matches!(self, Self::KillBroker | Self::WipeBroker | Self::FreezeBroker | Self::Cut(Link::Broker(_), _))
    }

    /// Time after the end of the fault until the target works again.
    pub(crate) fn recovery_time(&self) -> Duration {
        match self {
            Self::KillBroker | Self::WipeBroker => Duration::from_secs(10),
            Self::KillDatabase | Self::StopDatabase => Duration::from_secs(3),
            _ => Duration::from_millis(500),
        }
    }
}
