//! Captures the logs of this process and searches them for secrets and phone numbers. Fleets of several tests run at
//! the same time and share one log, so each of them finds the leaks of all.

use std::collections::HashSet;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use aho_corasick::AhoCorasick;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The log filter of processes: every event of our crates, and debug events of drivers, which log what they send.
pub const FILTER: &str = "debug,regua_api=trace,regua_worker=trace,regua_periodic=trace,regua_evolution=trace,\
    regua_broker=trace,regua_store=trace,regua_boot=trace,regua_domain=trace,regua_sandbox=info";

/// Without SQL statements, half of the log. Tests that start processes search those.
fn in_process_filter() -> String {
    format!("{FILTER},sqlx=info")
}

/// Digits of a Brazilian mobile number without the country code. Fewer digits do not identify a person.
const NATIONAL_DIGITS: usize = 11;

static CAPTURED: Mutex<Captured> = Mutex::new(Captured { text: Vec::new(), begins_at: 0, watches: Vec::new() });
static CONFIDENTIAL: Mutex<Option<Confidential>> = Mutex::new(None);

/// The part of the log that a watch covers.
struct Captured {
    text: Vec<u8>,
    /// Bytes that were logged before `text`.
    begins_at: usize,
    watches: Vec<usize>,
}

/// Texts that must not be logged.
#[derive(Default)]
struct Confidential {
    secrets: HashSet<String>,
    /// The last eleven digits of each phone number.
    phones: HashSet<[u8; NATIONAL_DIGITS]>,
}

fn captured() -> MutexGuard<'static, Captured> {
    CAPTURED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_confidential<T>(work: impl FnOnce(&mut Confidential) -> T) -> T {
    work(CONFIDENTIAL.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// Registers a text that must not be logged.
pub fn register_secret(secret: &str) {
    assert!(secret.len() >= 8, "a short secret would match other texts");
    with_confidential(|confidential| confidential.secrets.insert(secret.to_owned()));
}

/// Registers the password of a URL, if it has one.
pub fn register_password_of(url: &str) {
    let password = url.rsplit_once('@').and_then(|(before, _)| before.rsplit_once(':')).map(|(_, password)| password);
    if let Some(password) = password.filter(|password| password.len() >= 8) {
        register_secret(password);
    }
}

/// Registers a phone number in any notation, also with its separators; other texts are ignored.
pub fn register_phone(phone: &str) {
    let digits: Vec<_> = phone.bytes().filter(u8::is_ascii_digit).collect();
    if digits.len() >= NATIONAL_DIGITS && digits.len() <= 15 {
        let national = digits[digits.len() - NATIONAL_DIGITS..].try_into().expect("eleven digits");
        with_confidential(|confidential| {
            confidential.phones.insert(national);
            if phone.trim_start_matches('+').bytes().any(|byte| !byte.is_ascii_digit()) {
                confidential.secrets.insert(phone.to_owned());
            }
        });
    }
}

/// The lines of a text with a registered secret or phone number, at most ten.
pub fn leaks_in(text: &[u8]) -> Vec<String> {
    with_confidential(|confidential| {
        let secrets: Vec<_> = confidential.secrets.iter().map(String::as_bytes).collect();
        let secrets = AhoCorasick::new(secrets).expect("a few hundred short texts");
        let mut places: Vec<_> = secrets.find_iter(text).map(|found| found.start()).collect();
        places.extend(digits_of(text).filter_map(|(at, digits)| {
            let is_phone = digits.windows(NATIONAL_DIGITS).any(|window| confidential.phones.contains(window));
            is_phone.then_some(at)
        }));
        places.truncate(10);
        places.into_iter().map(|at| line_at(text, at)).collect()
    })
}

/// Every run of digits that is long enough for a phone number, with its position.
fn digits_of(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    text.split(|byte| !byte.is_ascii_digit()).filter_map(move |run| {
        let begins = at;
        at += run.len() + 1;
        (run.len() >= NATIONAL_DIGITS).then_some((begins, run))
    })
}

fn line_at(text: &[u8], at: usize) -> String {
    let begins = text[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let ends = text[at..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |newline| at + newline);
    String::from_utf8_lossy(&text[begins..ends.min(begins + 400)]).into_owned()
}

/// Covers the log from its beginning until it is dropped.
pub struct Watch {
    from: usize,
}

impl Watch {
    /// Begins a watch; the first one of the process installs the log subscriber.
    pub fn begin() -> Self {
        static CAPTURING: Once = Once::new();
        CAPTURING.call_once(|| {
            register_secret(regua_secrets::DEVELOPMENT_SECRET_KEY);
            let filter = EnvFilter::new(in_process_filter());
            let capturing = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).without_time();
            capturing.with_writer(Writer).try_init().expect("no other subscriber in this process");
        });
        let mut captured = captured();
        let from = captured.begins_at + captured.text.len();
        captured.watches.push(from);
        Self { from }
    }

    /// The log since the beginning of the watch.
    pub fn text(&self) -> Vec<u8> {
        let captured = captured();
        captured.text[self.from - captured.begins_at..].to_vec()
    }

    /// The lines of that log with secrets or phone numbers.
    pub fn leaks(&self) -> Vec<String> {
        leaks_in(&self.text())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut captured = captured();
        if let Some(place) = captured.watches.iter().position(|from| *from == self.from) {
            captured.watches.swap_remove(place);
        }
        let all = captured.begins_at + captured.text.len();
        let needed_from = captured.watches.iter().copied().min().unwrap_or(all);
        let unneeded = needed_from - captured.begins_at;
        captured.text.drain(..unneeded);
        captured.begins_at = needed_from;
    }
}

struct Writer;

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let mut captured = captured();
        if !captured.watches.is_empty() {
            captured.text.extend_from_slice(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}
