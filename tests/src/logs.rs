//! All that is logged in this process while fleets run, searched for the secrets and telephone numbers that they used.
//! Fleets of several tests run at the same time and log into one text; what one of them leaks, all of them find.

use std::collections::HashSet;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use aho_corasick::AhoCorasick;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What is captured of processes: all that our own programs can log, and what others log at debug. The drivers of HTTP, AMQP
/// and SQL are among them, because they see what we send.
pub const FILTER: &str = "debug,regua_api=trace,regua_worker=trace,regua_periodic=trace,regua_evolution=trace,\
    regua_broker=trace,regua_store=trace,regua_boot=trace,regua_domain=trace,regua_sandbox=info";

/// The same in this process, without the text of every statement, which is half of all that is said: the tests that start
/// processes read those.
fn own_filter() -> String {
    format!("{FILTER},sqlx=info")
}

/// Digits of a Brazilian mobile number without its country's code: the shortest that names a person.
const NATIONAL: usize = 11;

static CAPTURED: Mutex<Captured> = Mutex::new(Captured { text: Vec::new(), begins_at: 0, watches: Vec::new() });
static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

/// What was logged and somebody still watches.
struct Captured {
    text: Vec<u8>,
    /// How much was logged before it.
    begins_at: usize,
    /// From where each watch watches.
    watches: Vec<usize>,
}

/// What nobody may find in a log.
#[derive(Default)]
struct Kept {
    secrets: HashSet<String>,
    /// By their last eleven digits.
    phones: HashSet<[u8; NATIONAL]>,
}

fn captured() -> MutexGuard<'static, Captured> {
    CAPTURED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_kept<T>(look: impl FnOnce(&mut Kept) -> T) -> T {
    look(KEPT.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// Remembers what must never be logged.
pub fn keep_secret(secret: &str) {
    assert!(secret.len() >= 8, "a secret that is too short to be looked for");
    with_kept(|kept| kept.secrets.insert(secret.to_owned()));
}

/// Remembers the password that stands in a URL, if one does.
pub fn keep_password_of(url: &str) {
    let password = url.rsplit_once('@').and_then(|(before, _)| before.rsplit_once(':')).map(|(_, password)| password);
    if let Some(password) = password.filter(|password| password.len() >= 8) {
        keep_secret(password);
    }
}

/// Remembers a telephone number, however it is written; what is none is left out.
pub fn keep_phone(phone: &str) {
    let digits: Vec<_> = phone.bytes().filter(u8::is_ascii_digit).collect();
    // As it was written too, where that is not digits alone.
    if digits.len() >= NATIONAL && digits.len() <= 15 {
        let national = digits[digits.len() - NATIONAL..].try_into().expect("so many digits");
        with_kept(|kept| {
            kept.phones.insert(national);
            if phone.trim_start_matches('+').bytes().any(|byte| !byte.is_ascii_digit()) {
                kept.secrets.insert(phone.to_owned());
            }
        });
    }
}

/// The lines of a text that hold a secret or a telephone number; each secret at most once, at most ten in all.
pub fn leaks_in(text: &[u8]) -> Vec<String> {
    with_kept(|kept| {
        let secrets: Vec<_> = kept.secrets.iter().map(String::as_bytes).collect();
        let secrets = AhoCorasick::new(secrets).expect("a few hundred short texts");
        let mut places: Vec<_> = secrets.find_iter(text).map(|found| found.start()).collect();
        places.extend(digits_of(text).filter_map(|(at, digits)| {
            let is_phone = digits.windows(NATIONAL).any(|window| kept.phones.contains(window));
            is_phone.then_some(at)
        }));
        places.truncate(10);
        places.into_iter().map(|at| line_at(text, at)).collect()
    })
}

/// Every run of digits that is long enough for a number, and where it is.
fn digits_of(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    text.split(|byte| !byte.is_ascii_digit()).filter_map(move |run| {
        let begins = at;
        at += run.len() + 1;
        (run.len() >= NATIONAL).then_some((begins, run))
    })
}

fn line_at(text: &[u8], at: usize) -> String {
    let begins = text[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let ends = text[at..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |newline| at + newline);
    String::from_utf8_lossy(&text[begins..ends.min(begins + 400)]).into_owned()
}

/// Watches what is logged from now on.
pub struct Watch {
    from: usize,
}

impl Watch {
    /// Begins to watch; the first one of the process begins to capture.
    pub fn begin() -> Self {
        static CAPTURING: Once = Once::new();
        CAPTURING.call_once(|| {
            keep_secret(regua_boot::DEVELOPMENT_SECRET_KEY);
            let filter = EnvFilter::new(own_filter());
            let capturing = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).without_time();
            capturing.with_writer(Writer).try_init().expect("nobody else logs in this process");
        });
        let mut captured = captured();
        let from = captured.begins_at + captured.text.len();
        captured.watches.push(from);
        Self { from }
    }

    /// What was logged since.
    pub fn text(&self) -> Vec<u8> {
        let captured = captured();
        captured.text[self.from - captured.begins_at..].to_vec()
    }

    /// The lines of it in which secrets or telephone numbers stand.
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
