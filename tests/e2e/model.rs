//! The protocol of a send as a model: the product's own steps, one transaction or one request each, in every order that a
//! deterministic search comes to, with workers that die or stand still between any two of them.
//!
//! `PROPTEST_CASES` makes the search longer and `PROPTEST_RNG_SEED` makes it another one.

mod broken;
mod environment;
mod gateway;
mod invariants;
mod plan;
mod replica;
mod settle;
mod stage;
mod worker;
mod world;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use tokio::runtime::{Builder, Runtime};

use self::broken::Broken;
use self::plan::{Fault, Plan, Script, Step, plans};
use self::stage::Stage;
use self::world::World;

/// Cases of a plain run: what a few seconds allow.
const CASES: u32 = 60;

/// Cases within which a broken actor must be found out.
const CASES_OF_A_BROKEN_ONE: u32 = 200;

const SEED: u64 = 20_261_123;

/// A search over plans.
struct Search {
    runtime: Runtime,
    stage: Stage,
}

impl Search {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let stage = runtime.block_on(Stage::set());
        Self { runtime, stage }
    }

    /// What went wrong in the smallest case that goes wrong, with what happened in it.
    fn counterexample(&self, broken: Broken, cases: u32, max_shrink_iters: u32) -> Option<String> {
        let asked = Config::default();
        let rng_seed = match asked.rng_seed {
            RngSeed::Random => RngSeed::Fixed(SEED),
            fixed => fixed,
        };
        let config = Config { cases, max_shrink_iters, rng_seed, failure_persistence: None, ..asked };
        let mut runner = TestRunner::new(config);
        let ended = runner.run(&plans(), |plan| self.play(&plan, broken).1.map_err(TestCaseError::fail));
        match ended {
            Ok(()) => None,
            Err(TestError::Fail(_, plan)) => {
                let (story, ended) = self.play(&plan, broken);
                let wrong = ended.err().unwrap_or_else(|| "it does not go wrong a second time".to_owned());
                let Plan { lanes, concurrency, contacts, .. } = plan;
                let fleet = format!("{lanes} lanes, {concurrency} at once, contacts {contacts:?}");
                Some(format!("{wrong}\n  {fleet}\n  {}", story.join("\n  ")))
            }
            Err(TestError::Abort(reason)) => panic!("the search was given up: {reason}"),
        }
    }

    fn play(&self, plan: &Plan, broken: Broken) -> (Vec<String>, Result<(), String>) {
        self.runtime.block_on(async {
            let mut world = World::new(&self.stage, plan, broken).await;
            let ended = world.play().await.map_err(|error| format!("{error:#}"));
            (world.story, ended)
        })
    }
}

#[test]
fn no_order_of_steps_sends_twice_or_says_what_is_not_so() {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { CASES };
    let found = Search::new().counterexample(Broken::Nothing, cases, 600);
    assert!(found.is_none(), "{}", found.unwrap_or_default());
}

/// An order that the search is unlikely to come to: the first message leaves while the second try is on its way, the gateway
/// tells of it, and then the second try certainly did not leave.
#[test]
fn a_proof_that_comes_while_another_try_is_on_its_way_is_not_lost() {
    let search = Search::new();
    let worker = |worker, times, script| Step::Work { worker, times, choice: 1, fault: Fault::None, script };
    for script in [Script::NotSent, Script::Refused, Script::Lost] {
        for takeover in [vec![], vec![Step::Expire { lane: 1 }, worker(1, 1, Script::Sent)]] {
            let look = || vec![Step::Pass { seconds: 120 }, Step::Look { replica: 0, times: 3, fails: false }];
            let steps = [
                // It takes the lane, claims, marks, checks, posts, finishes, finds nothing more, and lets the lane go.
                vec![worker(0, 8, Script::HeldUp)],
                look(),
                look(),
                vec![worker(0, 4, script), Step::Leave, Step::Tell { message: 0 }],
                takeover,
                vec![worker(0, 2, script)],
            ];
            let plan =
                Plan { lanes: 2, concurrency: 1, contacts: [1, 1], ends_with_a_crash: false, steps: steps.concat() };
            let (story, ended) = search.play(&plan, Broken::Nothing);
            assert!(ended.is_ok(), "{ended:?}\n  {}", story.join("\n  "));
        }
    }
}

fn assert_found_out(broken: Broken, by: &[&str]) {
    let found = Search::new().counterexample(broken, CASES_OF_A_BROKEN_ONE, 0).unwrap_or_default();
    let wrong = found.lines().next().unwrap_or_default();
    assert!(by.iter().any(|by| wrong.contains(by)), "{broken:?} was not found out: {found}");
}

#[test]
fn a_worker_that_asks_no_fence_is_found_out() {
    assert_found_out(Broken::AsksNoFence, &["does not count its attempts", "messages, and"]);
}

#[test]
fn a_worker_that_posts_before_it_marks_is_found_out() {
    assert_found_out(Broken::PostsBeforeItMarks, &["messages, and", "never written down", "and its message left"]);
}

#[test]
fn a_periodic_that_resends_without_a_look_is_found_out() {
    assert_found_out(Broken::ResendsBlindly, &["sent again"]);
}

#[test]
fn a_takeover_that_retries_what_was_lost_is_found_out() {
    assert_found_out(Broken::RetriesWhatWasLost, &["messages, and", "and its message left"]);
}
