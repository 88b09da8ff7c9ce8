//! Feeds one input to a target, catches panics and measures the time, and minimizes the input of a finding.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use super::Target;

/// Repetitions of a slow input: on a busy machine any input may be slow once.
const CONFIRMATIONS: usize = 4;
const MAX_STEPS: usize = 5_000;

thread_local! {
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
    static PANIC_MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The input in work, for a thread that looks for an input that never ends.
#[derive(Default)]
pub struct CurrentInput(Mutex<Option<(Instant, Vec<u8>)>>);

impl CurrentInput {
    /// The input, if it is in work for longer than `after`.
    pub fn stuck(&self, after: Duration) -> Option<Vec<u8>> {
        let reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.as_ref().filter(|(since, _)| since.elapsed() > after).map(|(_, input)| input.clone())
    }

    fn set(&self, input: Option<&[u8]>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = input.map(|input| (Instant::now(), input.to_vec()));
    }
}

/// The failure of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The target panicked.
    Panicked(String),
    /// The answer violates a property.
    Broken(String),
    /// The input exceeded the time limit each time.
    Slow(Duration),
}

impl Reason {
    /// Equal for findings that probably have one cause.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Panicked(message) => format!("panic {}", message.split(':').next().unwrap_or_default()),
            Self::Broken(what) => format!("broken {}", what.split(':').next().unwrap_or_default()),
            Self::Slow(_) => "slow".to_owned(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Broken(what) => write!(f, "not true: {what}"),
            Self::Slow(took) => write!(f, "took {took:?}"),
        }
    }
}

/// An input with a wrong answer.
#[derive(Debug)]
pub struct Finding {
    /// The target's name.
    pub target: &'static str,
    /// The kind of failure.
    pub reason: Reason,
    /// The minimized input.
    pub input: Vec<u8>,
}

impl Finding {
    /// Writes the input to a file, which belongs into the corpus after the bug is fixed.
    pub fn write(&self, folder: &Path) -> std::io::Result<PathBuf> {
        let folder = folder.join(self.target);
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{:016x}", super::mutation::seed_of(&String::from_utf8_lossy(&self.input))));
        std::fs::write(&path, &self.input)?;
        Ok(path)
    }
}

/// Hides the messages of caught panics; all other panics are printed as usual.
pub fn quiet_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IS_CAUGHT.get() {
                let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
                let message = info.payload_as_str().unwrap_or_default();
                PANIC_MESSAGE.set(format!("at {place}: {message}"));
            } else {
                default(info);
            }
        }));
    });
}

pub(super) struct Trial<'a> {
    pub(super) target: &'a Target,
    pub(super) time_limit: Duration,
    pub(super) current: &'a CurrentInput,
}

impl Trial<'_> {
    /// The kind of the answer, or the failure.
    pub(super) fn read(&self, input: &[u8]) -> Result<String, Reason> {
        let (answer, mut took) = self.read_once(input);
        let answer = answer?;
        for _ in 0..CONFIRMATIONS {
            if took <= self.time_limit {
                return Ok(answer);
            }
            took = took.min(self.read_once(input).1);
        }
        if took > self.time_limit { Err(Reason::Slow(took)) } else { Ok(answer) }
    }

    fn read_once(&self, input: &[u8]) -> (Result<String, Reason>, Duration) {
        self.current.set(Some(input));
        IS_CAUGHT.set(true);
        let started = Instant::now();
        let read = panic::catch_unwind(AssertUnwindSafe(|| (self.target.read)(input)));
        let took = started.elapsed();
        IS_CAUGHT.set(false);
        self.current.set(None);
        let answer = match read {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(what)) => Err(Reason::Broken(what)),
            Err(_) => Err(Reason::Panicked(PANIC_MESSAGE.take())),
        };
        (answer, took)
    }

    /// Removes ever smaller pieces of the input while it remains a finding of the same kind.
    pub(super) fn minimized(&self, input: &[u8], reason: Reason) -> Finding {
        let (mut smallest, mut reason) = (input.to_vec(), reason);
        let mut steps = 0;
        let mut length = smallest.len() / 2;
        while length > 0 && steps < MAX_STEPS {
            let mut at = 0;
            while at < smallest.len() && steps < MAX_STEPS {
                let end = (at + length).min(smallest.len());
                let shorter = [&smallest[..at], &smallest[end..]].concat();
                steps += 1;
                match self.read(&shorter) {
                    Err(new) if new.kind() == reason.kind() => (smallest, reason) = (shorter, new),
                    _ => at += length,
                }
            }
            length /= 2;
        }
        Finding { target: self.target.name, reason, input: smallest }
    }
}
