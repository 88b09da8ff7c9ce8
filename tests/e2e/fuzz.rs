//! A bounded run of the fuzz targets over their corpus and some mutations (`make security` runs millions), and a test
//! of the fuzzer with faulty targets.

use std::path::Path;
use std::time::Duration;

use regua_tests::fuzz::{CurrentInput, Effort, TARGETS, Target, corpus, fuzz, quiet_panics};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
/// Generous: the build is not optimized, and other tests run at the same time.
const TIME_LIMIT: Duration = Duration::from_secs(2);

#[test]
fn every_target_survives_its_corpus_and_mutations_of_it() {
    quiet_panics();
    let mut inputs = 0;
    for target in &TARGETS {
        let corpus = corpus(Path::new(CORPUS), target).unwrap();
        let outcome = fuzz(
            target,
            corpus,
            Effort { inputs: 1_000, seed: 20_261_121, time_limit: TIME_LIMIT },
            &CurrentInput::default(),
        );
        let shown: Vec<_> = outcome.findings.iter().map(|one| format!("{}: {:?}", one.reason, one.input)).collect();
        assert!(shown.is_empty(), "{}: {shown:#?}", target.name);
        assert!(outcome.answers >= 2, "{} always gives the same answer", target.name);
        inputs += outcome.inputs;
    }
    println!("{inputs} inputs were read by {} targets", TARGETS.len());
}

#[test]
fn every_corpus_folder_belongs_to_a_target() {
    let folders = std::fs::read_dir(CORPUS).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut folders: Vec<_> = folders.collect();
    folders.sort();
    let mut names = TARGETS.each_ref().map(|target| target.name);
    names.sort_unstable();
    assert_eq!(folders, names);
}

/// What the fuzzer finds in a faulty target: the reason and the minimized input of each finding.
fn findings(read: fn(&[u8]) -> Result<String, String>, seed: &str, inputs: u64) -> Vec<(String, String)> {
    quiet_panics();
    let target = Target { name: "wrong", words: &["boom", "slow"], max_bytes: 100, read };
    let effort = Effort { inputs, seed: 1, time_limit: Duration::from_millis(20) };
    let outcome = fuzz(&target, vec![seed.as_bytes().to_vec()], effort, &CurrentInput::default());
    let text = |input: &[u8]| String::from_utf8_lossy(input).into_owned();
    outcome.findings.iter().map(|finding| (finding.reason.to_string(), text(&finding.input))).collect()
}

#[test]
fn panic_violated_property_and_slow_answer_are_found_and_minimized() {
    let panics = findings(
        |input| {
            if input.windows(4).any(|four| four == b"boom") {
                panic!("a deliberate panic")
            } else {
                Ok("ok".to_owned())
            }
        },
        "a long text",
        20_000,
    );
    assert_eq!(panics.len(), 1, "{panics:?}");
    assert!(panics[0].0.contains("a deliberate panic") && panics[0].1 == "boom", "{panics:?}");

    let violated = findings(
        |input| if input.contains(&b'!') { Err("no exclamation mark".to_owned()) } else { Ok("ok".to_owned()) },
        "oh! dear",
        0,
    );
    assert_eq!(violated, [("not true: no exclamation mark".to_owned(), "!".to_owned())]);

    let slow = findings(
        |input| {
            if input.starts_with(b"slow") {
                std::thread::sleep(Duration::from_millis(30));
            }
            Ok("ok".to_owned())
        },
        "slow as ever",
        0,
    );
    assert_eq!(slow.len(), 1, "{slow:?}");
    assert!(slow[0].0.starts_with("took") && slow[0].1 == "slow", "{slow:?}");
}
