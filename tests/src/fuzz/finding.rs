//! One input and what came of it: read with panics caught and time measured, and made small where something is wrong.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use super::Target;

/// Times that a slow input is read again before it is believed: on a busy machine anything is slow once.
const CONFIRMATIONS: usize = 4;
/// Tries to make an input smaller.
const MOST_STEPS: usize = 5_000;

thread_local! {
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
    static WORDS: RefCell<String> = const { RefCell::new(String::new()) };
}

/// How long one input may take.
#[derive(Clone, Copy, Debug)]
pub struct Slow(pub Duration);

/// What is being read now, for whoever looks whether it ever ends.
#[derive(Default)]
pub struct Watch(Mutex<Option<(Instant, Vec<u8>)>>);

impl Watch {
    /// The input that is being read for longer than that.
    pub fn stuck(&self, after: Duration) -> Option<Vec<u8>> {
        let reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.as_ref().filter(|(since, _)| since.elapsed() > after).map(|(_, input)| input.clone())
    }

    fn note(&self, input: Option<&[u8]>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = input.map(|input| (Instant::now(), input.to_vec()));
    }
}

/// Why an input is a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It panicked.
    Panicked(String),
    /// What must be true of the answer is not.
    Broken(String),
    /// It took too long, each time.
    Slow(Duration),
}

impl Why {
    /// The same for findings that are probably the same.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Panicked(words) => format!("panic {}", words.split(':').next().unwrap_or_default()),
            Self::Broken(what) => format!("broken {}", what.split(':').next().unwrap_or_default()),
            Self::Slow(_) => "slow".to_owned(),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(words) => write!(f, "panicked: {words}"),
            Self::Broken(what) => write!(f, "not true: {what}"),
            Self::Slow(took) => write!(f, "took {took:?}"),
        }
    }
}

/// An input that should be answered otherwise.
#[derive(Debug)]
pub struct Finding {
    /// The target.
    pub target: &'static str,
    /// What is wrong.
    pub why: Why,
    /// The smallest input that was found for it.
    pub input: Vec<u8>,
}

impl Finding {
    /// Writes the input where it can be read again, and moved into the corpus once it is mended.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, folder: &Path) -> std::io::Result<PathBuf> {
        let folder = folder.join(self.target);
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{:016x}", super::mutation::seed_of(&String::from_utf8_lossy(&self.input))));
        std::fs::write(&path, &self.input)?;
        Ok(path)
    }
}

/// Keeps panics that are caught here off the terminal; all others are shown as ever.
pub fn quiet_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IS_CAUGHT.get() {
                let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
                let words = info.payload_as_str().unwrap_or_default();
                WORDS.set(format!("at {place}: {words}"));
            } else {
                usual(info);
            }
        }));
    });
}

/// How inputs of a target are tried.
pub(super) struct Trial<'a> {
    pub(super) target: &'a Target,
    pub(super) slow: Slow,
    pub(super) watch: &'a Watch,
}

impl Trial<'_> {
    /// The answer, or what is wrong with it.
    pub(super) fn read(&self, input: &[u8]) -> Result<String, Why> {
        let (answer, mut took) = self.once(input);
        let answer = answer?;
        for _ in 0..CONFIRMATIONS {
            if took <= self.slow.0 {
                return Ok(answer);
            }
            took = took.min(self.once(input).1);
        }
        if took > self.slow.0 { Err(Why::Slow(took)) } else { Ok(answer) }
    }

    fn once(&self, input: &[u8]) -> (Result<String, Why>, Duration) {
        self.watch.note(Some(input));
        IS_CAUGHT.set(true);
        let started = Instant::now();
        let read = panic::catch_unwind(AssertUnwindSafe(|| (self.target.read)(input)));
        let took = started.elapsed();
        IS_CAUGHT.set(false);
        self.watch.note(None);
        let answer = match read {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(what)) => Err(Why::Broken(what)),
            Err(_) => Err(Why::Panicked(WORDS.take())),
        };
        (answer, took)
    }

    /// The smallest part of an input, by leaving out ever smaller pieces, that is a finding of the same kind.
    pub(super) fn minimised(&self, input: &[u8], why: Why) -> Finding {
        let (mut smallest, mut reason) = (input.to_vec(), why);
        let mut steps = 0;
        let mut length = smallest.len() / 2;
        while length > 0 && steps < MOST_STEPS {
            let mut at = 0;
            while at < smallest.len() && steps < MOST_STEPS {
                let end = (at + length).min(smallest.len());
                let shorter = [&smallest[..at], &smallest[end..]].concat();
                steps += 1;
                match self.read(&shorter) {
                    Err(why) if why.kind() == reason.kind() => (smallest, reason) = (shorter, why),
                    _ => at += length,
                }
            }
            length /= 2;
        }
        Finding { target: self.target.name, why: reason, input: smallest }
    }
}
