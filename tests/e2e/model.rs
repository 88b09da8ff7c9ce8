//! A model of the send protocol. A deterministic search runs the product's own steps, one transaction or one request
//! each, in many orders, with workers that crash or pause between any two steps.
//!
//! `PROPTEST_CASES` sets the number of cases and `PROPTEST_RNG_SEED` the seed.

mod case;
mod defects;
mod drain;
mod environment;
mod fixture;
mod gateway;
mod invariants;
mod plan;
mod replica;
mod worker;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use tokio::runtime::{Builder, Runtime};

use self::case::Case;
use self::defects::Defect;
use self::fixture::Fixture;
use self::plan::{Fault, Plan, Script, Step, plans};

/// Cases of a default run, which takes a few seconds.
const CASES: u32 = 60;

/// Cases within which the search must detect a defect.
const CASES_WITH_DEFECT: u32 = 200;

const SEED: u64 = 20_261_123;

/// A search over plans.
struct Search {
    runtime: Runtime,
    fixture: Fixture,
}

impl Search {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let fixture = runtime.block_on(Fixture::create());
        Self { runtime, fixture }
    }

    /// The violation in the smallest failing case, with the trace of its steps.
    fn counterexample(&self, defect: Defect, cases: u32, max_shrink_iters: u32) -> Option<String> {
        let default = Config::default();
        let rng_seed = match default.rng_seed {
            RngSeed::Random => RngSeed::Fixed(SEED),
            fixed => fixed,
        };
        let config = Config { cases, max_shrink_iters, rng_seed, failure_persistence: None, ..default };
        let mut runner = TestRunner::new(config);
        let ended = runner.run(&plans(), |plan| self.play(&plan, defect).1.map_err(TestCaseError::fail));
        match ended {
            Ok(()) => None,
            Err(TestError::Fail(_, plan)) => {
                let (trace, ended) = self.play(&plan, defect);
                let violation = ended.err().unwrap_or_else(|| "the case does not fail a second time".to_owned());
                let Plan { lanes, concurrency, contacts, .. } = plan;
                let fleet = format!("{lanes} lanes, {concurrency} at once, contacts {contacts:?}");
                Some(format!("{violation}\n  {fleet}\n  {}", trace.join("\n  ")))
            }
            Err(TestError::Abort(reason)) => panic!("the search was aborted: {reason}"),
        }
    }

    fn play(&self, plan: &Plan, defect: Defect) -> (Vec<String>, Result<(), String>) {
        self.runtime.block_on(async {
            let mut case = Case::new(&self.fixture, plan, defect).await;
            let ended = case.play().await.map_err(|error| format!("{error:#}"));
            (case.trace, ended)
        })
    }
}

#[test]
fn no_order_of_steps_sends_twice_or_records_a_false_state() {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { CASES };
    let found = Search::new().counterexample(Defect::None, cases, 600);
    assert!(found.is_none(), "{}", found.unwrap_or_default());
}

/// An order that the search is unlikely to reach: the first message leaves while the second attempt is under way, a
/// webhook proves it, and then the second attempt's message certainly did not leave.
#[test]
fn proof_of_earlier_attempt_during_a_later_attempt_is_not_lost() {
    let search = Search::new();
    let worker = |worker, times, script| Step::Work { worker, times, choice: 1, fault: Fault::None, script };
    for script in [Script::NotSent, Script::Refused, Script::Lost] {
        for takeover in [vec![], vec![Step::Expire { lane: 1 }, worker(1, 1, Script::Sent)]] {
            let look = || vec![Step::AdvanceClock { seconds: 120 }, Step::Look { replica: 0, times: 3, fails: false }];
            let steps = [
                // The worker takes the lane, claims, marks, checks, posts, finishes, claims nothing, and releases the
                // lane.
                vec![worker(0, 8, Script::HeldUp)],
                look(),
                look(),
                vec![worker(0, 4, script), Step::ReleaseHeldUp, Step::Webhook { message: 0 }],
                takeover,
                vec![worker(0, 2, script)],
            ];
            let plan =
                Plan { lanes: 2, concurrency: 1, contacts: [1, 1], ends_with_a_crash: false, steps: steps.concat() };
            let (trace, ended) = search.play(&plan, Defect::None);
            assert!(ended.is_ok(), "{ended:?}\n  {}", trace.join("\n  "));
        }
    }
}

/// Asserts that the search finds a violation that contains one of these texts.
fn assert_detected(defect: Defect, violations: &[&str]) {
    let found = Search::new().counterexample(defect, CASES_WITH_DEFECT, 0).unwrap_or_default();
    let violation = found.lines().next().unwrap_or_default();
    assert!(violations.iter().any(|text| violation.contains(text)), "{defect:?} was not detected: {found}");
}

#[test]
fn model_detects_worker_that_ignores_the_fence() {
    assert_detected(Defect::IgnoresFence, &["does not count its attempts", "messages, and"]);
}

#[test]
fn model_detects_worker_that_posts_before_it_marks() {
    assert_detected(Defect::PostsBeforeMark, &["messages, and", "never marked", "and its message left"]);
}

#[test]
fn model_detects_periodic_that_resends_without_a_look() {
    assert_detected(Defect::ResendsWithoutLook, &["sent again"]);
}

#[test]
fn model_detects_takeover_that_retries_lost_attempts() {
    assert_detected(Defect::RetriesLostAttempts, &["messages, and", "and its message left"]);
}
