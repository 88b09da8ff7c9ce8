//! The memory that reading and composing a batch take, by the kernel's count of this process. The file has one test,
//! because tests of one file run at the same time.
#![cfg(target_os = "linux")]

use chrono::DateTime;
use regua_api::harness::{compose_batch, read_batch};
use regua_domain::{MessageType, Variations};

/// So large that what a small body may take in addition does not matter.
const BODY: usize = 8 << 20;
/// Composing may take so much beside what the rows and the posted contacts take.
const COMPOSING: usize = 32 << 20;

/// The most memory that the process has had since the last `reset_peak`, in bytes.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<usize>().ok()? << 10)
}

/// The most memory that the process has during `work`. Memory that the allocator kept from before counts as well.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let done = work();
    (done, peak().unwrap())
}

const CONTACT: &str = r#""name":"Maria","phone":"11988887777""#;

/// Builds a body in one buffer: other memory would stay with the allocator and hide what reading takes.
struct Builder(String);

impl Builder {
    fn new(before: &str) -> Self {
        let mut text = String::with_capacity(BODY + (64 << 10));
        text.push_str(before);
        Self(text)
    }

    /// Repeats the filler up to so many bytes.
    fn fill(mut self, bytes: usize, before: &str, filler: &str, after: &str) -> Self {
        let end = self.0.len() + bytes;
        self.0.push_str(before);
        while self.0.len() < end {
            self.0.push_str(filler);
        }
        self.0.push_str(after);
        self
    }
}

/// A body with so many equal contacts.
fn batch(contacts: usize, before: &str, filler: &str, after: &str) -> String {
    let mut body = Builder::new(r#"{"external_id":"b","contacts":["#);
    for number in 0..contacts {
        body.0.push_str(if number > 0 { ",{" } else { "{" });
        body.0.push_str(CONTACT);
        body = body.fill(BODY / contacts - CONTACT.len(), before, filler, after);
        body.0.push('}');
    }
    body.0 + "]}"
}

fn one(before: &str, filler: &str, after: &str) -> String {
    batch(1, before, filler, after)
}

/// A batch with these members beside its contact.
fn top(before: &str, filler: &str, after: &str) -> String {
    let body = Builder::new(r#"{"external_id":"b","contacts":[{"name":"Maria","phone":"11988887777"}],"#);
    body.fill(BODY, before, filler, after).0
}

fn whole(before: &str, filler: &str, after: &str) -> String {
    Builder::new("").fill(BODY, before, filler, after).0
}

const SMALL: &str = r#"{"a":0},"#;

type Shape = (&'static str, fn() -> String);

/// Each is built when it is measured.
#[rustfmt::skip] // one line each
const SHAPES: &[Shape] = &[
    ("small objects in the batch's metadata", || top(r#""metadata":{"a":["#, SMALL, "0]}}")),
    ("small objects in an unknown member", || top(r#""x":["#, SMALL, "0]}")),
    ("a contact's metadata", || one(r#","metadata":{"a":["#, SMALL, "0]}")),
    ("a contact's variables", || one(r#","variables":{"a":["#, SMALL, "0]}")),
    ("many variables", || one(r#","variables":{"#, r#""":0,"#, r#""a":1}"#)),
    ("an unknown member of a contact", || one(r#","x":["#, SMALL, "0]")),
    ("many unknown members of a contact", || one("", r#","":0"#, "")),
    ("250 contacts with small objects", || batch(250, r#","metadata":{"a":["#, SMALL, "0]}")),
    ("10,000 contacts with small objects", || batch(10_000, r#","x":["#, SMALL, "0]")),
    ("tiny contacts", || whole(r#"{"external_id":"b","contacts":["#, "{},", "{}]}")),
    ("nested lists in a contact", || one(r#","x":"#, "[", "")),
    ("nested lists in metadata", || top(r#""metadata":"#, "[", "")),
    ("equal members", || top("", r#""name":"a","#, r#""name":"b"}"#)),
    ("equal members of a contact", || one("", r#","name":"a""#, "")),
    ("one long name of a member", || top(r#""\u0061"#, "a", r#"":0}"#)),
    ("one long name of a contact's member", || one(r#","\u0061"#, "a", r#"":0"#)),
    ("a long name", || top(r#""name":"\n"#, "a", r#""}"#)),
    ("a text of escapes", || top(r#""name":""#, r"\u00e9", r#""}"#)),
    ("a long instant", || top(r#""scheduled_for":"\n"#, "a", r#""}"#)),
    ("a text that shows long as a boolean", || top(r#""dry_run":""#, "\u{7f}", r#""}"#)),
    ("a text as metadata", || top(r#""metadata":""#, "\u{7f}", r#""}"#)),
    ("a text as contacts", || whole(r#"{"external_id":"b","contacts":""#, "\u{7f}", r#""}"#)),
    ("a text as a contact", || whole(r#"{"external_id":"b","contacts":[""#, "\u{7f}", r#""]}"#)),
    ("a text as the batch", || whole("\"", "\u{7f}", "\"")),
    ("a long name of a contact", || one(r#","name":"\n"#, "a", "\"")),
    ("a long external id", || one(r#","external_id":"\n"#, "a", "\"")),
    ("a long amount", || one(r#","amount":"\u002d"#, "-", "\"")),
    ("a long variable", || one(r#","variables":{"a":"\n"#, "a", "\"}")),
    ("a long name of a variable", || one(r#","variables":{"\n"#, "a", "\":0}")),
];

#[test]
fn batch_takes_less_than_three_times_its_body_in_memory_whatever_its_shape() {
    let now = DateTime::from_timestamp(1_795_438_800, 0).unwrap();
    let variations = Variations::parse(vec!["Olá {{nome}}".to_owned()]).unwrap();
    let ((), idle) = peak_of(|| ());
    for (shape, body) in SHAPES {
        let body = body().into_bytes();
        let (_, reading) = peak_of(|| read_batch(&body, MessageType::Notification, now).err());
        let (composed, composing) =
            peak_of(|| compose_batch(&body, MessageType::Notification, variations.clone(), None, now));
        let (reading, composing) = (reading.saturating_sub(idle), composing.saturating_sub(idle));
        let times = |bytes: usize| bytes as f64 / body.len() as f64;
        let result = composed.map(|composed| format!("{} rows", composed.contacts.ids.len()));
        println!("{shape}: {:.2} and {:.2} times the body, {result:?}", times(reading), times(composing));
        // The body is the first of the three.
        assert!(reading < 3 * body.len(), "{shape}: reading takes {reading} bytes for a body of {}", body.len());
        assert!(composing < 3 * body.len() + COMPOSING, "{shape}: composing takes {composing} bytes");
    }
}
