//! The chaos run: the whole fleet as processes, ERPs that repeat their posts, and faults from a schedule that the seed
//! determines. When no work is open any more, the gateway's journal is compared with the database.

mod checks;
mod deployment;
mod erp;
mod fault_kinds;
mod faults;
mod gateway;
mod inject;
mod instances;
mod plan;
mod records;
mod report;
mod schedule;
mod tenants;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

pub use self::report::Report;
pub use self::schedule::{PlannedFault, number_of_kinds, schedule, span};

use self::checks::RunData;
use self::deployment::{Deployment, LEASE_SECONDS};
use self::erp::Erp;
use self::faults::{APIS, Program, WORKERS};
use self::inject::InjectedFault;
use self::instances::INSTANCES;
use self::records::Records;
use self::report::Check;

/// The options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Messages to send.
    pub messages: usize,
    /// Faults to inject.
    pub faults: usize,
    /// Seed of all random choices.
    pub seed: u64,
    /// Path of `regua-test-process`.
    pub binary: PathBuf,
    /// Folder for the files of the run.
    pub folder: PathBuf,
    /// Other work runs on this machine, so recovery times are reported but not checked.
    pub is_shared_machine: bool,
}

impl Options {
    /// The time after which the run has failed.
    pub fn deadline(&self) -> Duration {
        span(self.faults) * 2 + self.drain_timeout() + Duration::from_secs(240)
    }

    fn drain_timeout(&self) -> Duration {
        Duration::from_secs(90 + u64::try_from(self.messages).unwrap_or(0) / 200)
    }

    /// Messages a minute of each instance, at which sending without faults takes half the time of the faults.
    fn rate(&self) -> usize {
        let each = self.messages.div_ceil(INSTANCES);
        (each * 120 / usize::try_from(span(self.faults).as_secs()).unwrap_or(1)).clamp(60, 60_000)
    }
}

/// Runs chaos and checks the result.
pub async fn run(options: &Options) -> Report {
    let started = Instant::now();
    let deployment = Arc::new(Deployment::prepare(&options.binary, options.folder.clone()).await);
    let tenants = tenants::create(&deployment, i32::try_from(options.rate()).unwrap()).await;
    for program in Program::fleet().into_iter().chain([Program::Gateway]) {
        deployment.start(program).await;
    }
    let erp = Arc::new(Erp::new(deployment.apis.clone(), tenants.iter().map(|tenant| tenant.key.clone()).collect()));
    erp.wait_for_apis().await;
    let (took, rate, seed) = (started.elapsed(), options.rate(), options.seed);
    log_progress(&format!("up after {took:?}; {INSTANCES} instances send {rate} a minute each, seed {seed}"));

    let begun = Instant::now();
    let (injected, sending) = send_under_faults(options, &deployment, &erp, begun).await;
    let ends = stop_programs(&deployment).await;
    let records = Records::read(&deployment.pool, &deployment.journal()).await;
    let mut report = check(options, &erp, &records, &injected);
    report.checks.push(ends);
    report.checks.push(deployment.check_logs().await);
    report.sending = sending;
    report.duration = started.elapsed();
    if !report.holds() {
        log_progress(&deployment.log_tails());
    }
    report
}

async fn send_under_faults(
    options: &Options,
    deployment: &Arc<Deployment>,
    erp: &Arc<Erp>,
    begun: Instant,
) -> (Vec<InjectedFault>, Duration) {
    let mut posting = JoinSet::new();
    for batch in plan::batches(options.seed, options.messages, span(options.faults).mul_f64(0.8)) {
        posting.spawn(Arc::clone(erp).handle(batch, begun));
    }
    let planned = schedule(options.seed, options.faults);
    let injected = inject::all(deployment, planned, begun).await;
    log_progress(&format!("all faults have ended after {:?}", begun.elapsed()));
    erp.are_faults_over.store(true, Ordering::Relaxed);
    let posted = timeout(options.drain_timeout(), posting.join_all()).await;
    assert!(posted.is_ok(), "an ERP got no answer");
    drain(options, deployment).await;
    (injected, begun.elapsed())
}

/// Waits until no work is open, or until the timeout.
async fn drain(options: &Options, deployment: &Deployment) {
    let (started, mut logged) = (Instant::now(), Instant::now());
    loop {
        let open = records::count_open_work(&deployment.pool).await.unwrap_or(-1);
        if open == 0 {
            return log_progress(&format!("no work is open {:?} later", started.elapsed()));
        }
        if started.elapsed() > options.drain_timeout() {
            return log_progress(&format!("{open} rows are open after the timeout"));
        }
        if logged.elapsed() > Duration::from_secs(10) {
            logged = Instant::now();
            log_progress(&format!("{open} rows are open"));
        }
        sleep(Duration::from_millis(250)).await;
    }
}

/// Stops the fleet, the workers first, so that they give their leases back.
async fn stop_programs(deployment: &Deployment) -> Check {
    let mut check = Check::new("complete", "every program ran until it was asked to end, and ended with 0");
    for program in deployment.ended_programs().await {
        check.record(Some(format!("{program} ended by itself")));
    }
    for program in (0..WORKERS).map(Program::Worker).chain((0..APIS).map(Program::Api)) {
        check.record((!deployment.stop(program).await).then(|| format!("{program} did not end with 0")));
    }
    check
}

fn check(options: &Options, erp: &Erp, records: &Records, injected: &[InjectedFault]) -> Report {
    let (posted, stops) = (erp.posted.lock().unwrap(), erp.stops.lock().unwrap());
    let lease = i64::try_from(LEASE_SECONDS * 1_000).unwrap();
    let run = RunData {
        records,
        posted: &posted,
        stops: &stops,
        injected,
        rate: options.rate(),
        lease,
        is_shared_machine: options.is_shared_machine,
    };
    let mut report = Report { seed: options.seed, messages: options.messages, ..Report::default() };
    report.checks = checks::all(&run);
    report.counts = checks::counts(&run);
    for injected in injected {
        *report.faults.entry(injected.fault.label()).or_default() += 1;
    }
    report
}

#[expect(clippy::print_stderr, reason = "progress for the user, who waits for the report")]
fn log_progress(text: &str) {
    eprintln!("chaos: {text}");
}
