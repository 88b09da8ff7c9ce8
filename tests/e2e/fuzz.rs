//! A bounded run of the fuzz targets over their corpus and some mutations (`make security` runs millions), and the fuzzer
//! against targets that are wrong on purpose.

use std::path::Path;
use std::time::Duration;

use regua_tests::fuzz::{Effort, Slow, TARGETS, Target, Watch, corpus, fuzz, quiet_panics};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
/// Without optimisation and beside other tests.
const SLOW: Slow = Slow(Duration::from_secs(2));

#[test]
fn every_target_survives_its_corpus_and_a_few_thousand_mutations() {
    quiet_panics();
    let mut inputs = 0;
    for target in &TARGETS {
        let corpus = corpus(Path::new(CORPUS), target).unwrap();
        let outcome = fuzz(target, corpus, Effort { inputs: 1_000, seed: 20_261_121, slow: SLOW }, &Watch::default());
        let shown: Vec<_> = outcome.findings.iter().map(|one| format!("{}: {:?}", one.why, one.input)).collect();
        assert!(shown.is_empty(), "{}: {shown:#?}", target.name);
        assert!(outcome.answers >= 2, "{} is always answered alike", target.name);
        inputs += outcome.inputs;
    }
    println!("{inputs} inputs were read by {} targets", TARGETS.len());
}

#[test]
fn every_folder_of_the_corpus_is_a_targets() {
    let folders = std::fs::read_dir(CORPUS).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut folders: Vec<_> = folders.collect();
    folders.sort();
    let mut names = TARGETS.each_ref().map(|target| target.name);
    names.sort_unstable();
    assert_eq!(folders, names);
}

fn found(read: fn(&[u8]) -> Result<String, String>, seed: &str, inputs: u64) -> Vec<(String, String)> {
    quiet_panics();
    let target = Target { name: "wrong", words: &["boom", "slow"], most_bytes: 100, read };
    let effort = Effort { inputs, seed: 1, slow: Slow(Duration::from_millis(20)) };
    let outcome = fuzz(&target, vec![seed.as_bytes().to_vec()], effort, &Watch::default());
    let text = |input: &[u8]| String::from_utf8_lossy(input).into_owned();
    outcome.findings.iter().map(|finding| (finding.why.to_string(), text(&finding.input))).collect()
}

#[test]
fn a_panic_a_broken_promise_and_a_slow_answer_are_found_and_made_small() {
    let panics = found(
        |input| {
            if input.windows(4).any(|four| four == b"boom") { panic!("of all things") } else { Ok("ok".to_owned()) }
        },
        "a long text",
        20_000,
    );
    assert_eq!(panics.len(), 1, "{panics:?}");
    assert!(panics[0].0.contains("of all things") && panics[0].1 == "boom", "{panics:?}");

    let broken = found(
        |input| if input.contains(&b'!') { Err("nobody shouts".to_owned()) } else { Ok("ok".to_owned()) },
        "oh! dear",
        0,
    );
    assert_eq!(broken, [("not true: nobody shouts".to_owned(), "!".to_owned())]);

    let slow = found(
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
