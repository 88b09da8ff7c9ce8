//! The memory that reading and composing a batch take, by the kernel's count of this process. The file has one test,
//! because tests of one file run at the same time.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the output has the measured figures")]

use std::process::Command;
use std::time::Instant;

use chrono::{DateTime, Utc};
use regua_api::harness::{ComposedBatch, compose_batch, read_batch};
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

/// The most memory that the process has during `work`, beside what it had before.
fn memory_of<T>(before: usize, work: impl FnOnce() -> T) -> (T, usize) {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let done = work();
    (done, peak().unwrap().saturating_sub(before))
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

/// A batch as ERPs post it.
fn usual(contacts: usize) -> String {
    let contact = |number| {
        format!(
            r#"{{"external_id":"NF-{number}","name":"MARIA DA SILVA","phone":"(11) 98888-{number:04}","amount":"150.00",
                "due_date":"2026-11-10","variables":{{"link":"https://pagar.example/{number}"}}}}"#
        )
    };
    format!(r#"{{"external_id":"b","contacts":[{}]}}"#, (0..contacts).map(contact).collect::<Vec<_>>().join(","))
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
    ("10,000 usual contacts", || usual(10_000)),
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

/// The number of the shape that this process measures.
const SHAPE: &str = "REGUA_TEST_SHAPE";

/// Each shape has a process of its own, because an allocator keeps memory.
#[test]
fn batch_takes_less_than_three_times_its_body_in_memory_whatever_its_shape() {
    if let Ok(number) = std::env::var(SHAPE) {
        let (shape, body) = SHAPES[number.parse::<usize>().unwrap()];
        return measure(shape, body().as_bytes());
    }
    print_cost_of_one_contact();
    for number in 0..SHAPES.len() {
        let mut process = Command::new(std::env::current_exe().unwrap());
        let output = process.arg("--nocapture").env(SHAPE, number.to_string()).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        println!("{}", printed.lines().find(|line| line.contains(" times ")).unwrap_or(&printed));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn compose(body: &[u8]) -> Result<ComposedBatch, &'static str> {
    let variations =
        Variations::parse(vec!["Olá {{nome}}{{#if valor}}, {{valor}} até {{vencimento}}{{/if}}".to_owned()]).unwrap();
    compose_batch(body, MessageType::Notification, variations, None, now())
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_438_800, 0).unwrap()
}

fn print_cost_of_one_contact() {
    let body = usual(1);
    let started = Instant::now();
    for _ in 0..100 {
        compose(body.as_bytes()).unwrap();
    }
    println!("a usual contact: read and composed in {:?}", started.elapsed() / 100);
}

fn measure(shape: &str, body: &[u8]) {
    let (before, _) = memory_of(0, || peak().unwrap());
    let (_, reading) = memory_of(before, || read_batch(body, MessageType::Notification, now()).err());
    let started = Instant::now();
    let (composed, composing) = memory_of(before, || compose(body));
    let time = started.elapsed();
    let times = |bytes: usize| 1.0 + bytes as f64 / body.len() as f64;
    let result = composed.map(|composed| format!("{} rows", composed.contacts.ids.len()));
    println!("{shape}: {:.2} and {:.2} times the body, {time:?}, {result:?}", times(reading), times(composing));
    // The body is the first of the three.
    assert!(reading < 2 * body.len(), "{shape}: reading takes {reading} bytes beside a body of {}", body.len());
    assert!(composing < 2 * body.len() + COMPOSING, "{shape}: composing takes {composing} bytes");
}
