//! The chaos run: the whole fleet as processes, an ERP that does not give up, and faults from a schedule that a seed
//! decides. Afterwards everything settles, and what the gateway knows is held against what the database says.

mod checks;
mod deck;
mod erp;
mod evidence;
mod gateway;
mod inject;
mod plan;
mod report;
mod schedule;
mod stage;
mod tenants;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

pub use self::deck::{CARDS, Card};
pub use self::report::{Check, Report};
pub use self::schedule::{Cut, Fault, Link, Planned, Program, Scene, schedule, span};

use self::checks::Case;
use self::erp::Erp;
use self::evidence::Evidence;
use self::inject::Injected;
use self::schedule::{APIS, WORKERS};
use self::stage::{LEASE_SECONDS, Stage};
use self::tenants::{NUMBERS, TENANTS};

/// What a run is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Messages to send.
    pub messages: usize,
    /// Faults to inject.
    pub faults: usize,
    /// Decides everything that is drawn.
    pub seed: u64,
    /// The program that runs as any of the fleet's.
    pub binary: PathBuf,
    /// Where everything of the run is kept while it lasts.
    pub folder: PathBuf,
    /// Other work runs on this machine, so that how long something takes is told and not judged.
    pub is_shared: bool,
}

impl Options {
    /// After this the run has failed, whatever it is doing.
    pub fn deadline(&self) -> Duration {
        span(self.faults) * 2 + self.patience() + Duration::from_secs(240)
    }

    /// How long everything may take to settle after the last fault.
    fn patience(&self) -> Duration {
        Duration::from_secs(90 + u64::try_from(self.messages).unwrap_or(0) / 200)
    }

    /// Messages a minute of every number, so that sending lasts as long as the faults do: half the time, if nothing broke.
    fn rate(&self) -> usize {
        let each = self.messages.div_ceil(NUMBERS);
        (each * 120 / usize::try_from(span(self.faults).as_secs()).unwrap_or(1)).clamp(60, 60_000)
    }
}

/// Runs it, and tells what held.
pub async fn run(options: &Options) -> Report {
    let started = Instant::now();
    let stage = Arc::new(Stage::set(&options.binary, options.folder.clone()).await);
    let tenants = tenants::create(&stage, i32::try_from(options.rate()).unwrap()).await;
    for program in Program::fleet().into_iter().chain([Program::Gateway]) {
        stage.start(program).await;
    }
    let erp = Arc::new(Erp::new(stage.apis.clone(), tenants.iter().map(|tenant| tenant.key.clone()).collect()));
    erp.until_answered().await;
    let (took, rate, seed) = (started.elapsed(), options.rate(), options.seed);
    say(&format!("up after {took:?}; sending at {rate} a minute through {NUMBERS} numbers, seed {seed}"));

    let begun = Instant::now();
    let (injected, sending) = break_and_send(options, &stage, &erp, begun).await;
    let deserters = finish(&stage).await;
    let evidence = Evidence::gather(&stage.pool, &stage.journal()).await;
    let mut report = judge(options, &erp, &evidence, &injected);
    report.checks.push(deserters);
    report.checks.push(stage.leaks().await);
    report.sending = sending;
    report.duration = started.elapsed();
    if !report.holds() {
        say(&stage.logs());
    }
    report
}

/// Posts and breaks at the same time, and waits until all has settled.
async fn break_and_send(
    options: &Options,
    stage: &Arc<Stage>,
    erp: &Arc<Erp>,
    begun: Instant,
) -> (Vec<Injected>, Duration) {
    let mut posting = JoinSet::new();
    for batch in plan::batches(options.seed, options.messages, span(options.faults).mul_f64(0.8)) {
        posting.spawn(Arc::clone(erp).handle(batch, begun));
    }
    let planned = schedule(options.seed, options.faults, Scene { tenants: TENANTS, numbers: NUMBERS });
    let injected = inject::all(stage, planned, begun).await;
    say(&format!("all faults have ended after {:?}", begun.elapsed()));
    erp.is_over.store(true, Ordering::Relaxed);
    let posted = timeout(options.patience(), posting.join_all()).await;
    assert!(posted.is_ok(), "an ERP was not answered");
    settle(options, stage).await;
    (injected, begun.elapsed())
}

/// Until nothing is under way, or for so long.
async fn settle(options: &Options, stage: &Stage) {
    let (started, mut said) = (Instant::now(), Instant::now());
    loop {
        let unsettled = evidence::unsettled(&stage.pool).await.unwrap_or(-1);
        if unsettled == 0 {
            return say(&format!("all settled {:?} later", started.elapsed()));
        }
        if started.elapsed() > options.patience() {
            return say(&format!("{unsettled} rows did not settle"));
        }
        if said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            say(&format!("{unsettled} rows are still under way"));
        }
        sleep(Duration::from_millis(250)).await;
    }
}

/// Asks the fleet to end, workers first: whoever ends as asked gives its leases back.
async fn finish(stage: &Stage) -> Check {
    let mut check = Check::new("complete", "every program ran until it was asked to end, and ended with 0");
    for program in stage.deserters().await {
        check.look(Some(format!("{program} ended by itself")));
    }
    for program in (0..WORKERS).map(Program::Worker).chain((0..APIS).map(Program::Api)) {
        check.look((!stage.end(program).await).then(|| format!("{program} did not end with 0")));
    }
    check
}

fn judge(options: &Options, erp: &Erp, evidence: &Evidence, injected: &[Injected]) -> Report {
    let (posted, orders) = (erp.posted.lock().unwrap(), erp.orders.lock().unwrap());
    let lease = i64::try_from(LEASE_SECONDS * 1_000).unwrap();
    let case = Case {
        evidence,
        posted: &posted,
        orders: &orders,
        injected,
        rate: options.rate(),
        lease,
        is_shared: options.is_shared,
    };
    let mut report = Report { seed: options.seed, messages: options.messages, ..Report::default() };
    report.checks = checks::all(&case);
    report.counts = checks::counts(&case);
    for injected in injected {
        *report.faults.entry(injected.fault.kind()).or_default() += 1;
    }
    report
}

#[expect(clippy::print_stderr, reason = "whoever waits for the report wants to see that something happens")]
fn say(text: &str) {
    eprintln!("chaos: {text}");
}
