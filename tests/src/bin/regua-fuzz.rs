//! The fuzz run as a program: it prints what was tried, writes what was found, and its exit status is 0 only if nothing was.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use regua_tests::fuzz::{Effort, Outcome, Slow, TARGETS, Target, Watch, corpus, fuzz, quiet_panics};

/// After so long an input is taken for one that never ends.
const STUCK: Duration = Duration::from_secs(20);

/// Reads mutated inputs by everything that reads what others wrote.
#[derive(Debug, Parser)]
#[command(name = "regua-fuzz")]
struct Arguments {
    /// Inputs of each target
    #[arg(long, env = "FUZZ_INPUTS", default_value_t = 200_000)]
    inputs: u64,
    /// The seed of a run to be repeated; another every time unless given
    #[arg(long, env = "FUZZ_SEED")]
    seed: Option<u64>,
    /// Only targets whose name holds this
    #[arg(long, env = "FUZZ_ONLY", default_value = "")]
    only: String,
    /// Milliseconds that one input may take
    #[arg(long, default_value_t = 50)]
    slow: u64,
    /// The committed inputs
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))]
    corpus: PathBuf,
    /// Where findings are written
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/fuzz"))]
    findings: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let now = regua_boot::Clock::system().now();
    let seed = arguments.seed.unwrap_or_else(|| now.timestamp_millis().unsigned_abs());
    quiet_panics();
    let targets: Vec<&Target> = TARGETS.iter().filter(|target| target.name.contains(&arguments.only)).collect();
    anyhow::ensure!(!targets.is_empty(), "no target is called {:?}", arguments.only);
    let started = Instant::now();
    let mut outcomes = run(&arguments, &targets, seed)?;
    outcomes.sort_by_key(|outcome| TARGETS.iter().position(|target| target.name == outcome.name));
    report(&arguments, &outcomes, seed, started.elapsed())
}

/// As many targets at once as there are processors.
fn run(arguments: &Arguments, targets: &[&Target], seed: u64) -> anyhow::Result<Vec<Outcome>> {
    let effort = Effort { inputs: arguments.inputs, seed, slow: Slow(Duration::from_millis(arguments.slow)) };
    let inputs: Vec<_> = targets.iter().map(|target| corpus(&arguments.corpus, target)).collect::<Result<_, _>>()?;
    let watches: Vec<Watch> = targets.iter().map(|_| Watch::default()).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let processors = std::thread::available_parallelism().map_or(1, usize::from).min(targets.len());
    std::thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                while let Some((index, target)) = turn(&next, targets) {
                    let outcome = fuzz(target, inputs[index].clone(), effort, &watches[index]);
                    if let Ok(mut done) = done.lock() {
                        done.push(outcome);
                    }
                }
            });
        }
        scope.spawn(|| {
            watch_over(&watches, targets, arguments, || done.lock().is_ok_and(|done| done.len() == targets.len()));
        });
    });
    done.into_inner().ok().context("a target ended badly")
}

fn turn<'a>(next: &AtomicUsize, targets: &[&'a Target]) -> Option<(usize, &'a Target)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    targets.get(index).map(|target| (index, *target))
}

/// What never ends cannot be caught: its input is written, and the program with it is ended.
fn watch_over(watches: &[Watch], targets: &[&Target], arguments: &Arguments, is_done: impl Fn() -> bool) {
    while !is_done() {
        std::thread::sleep(Duration::from_millis(200));
        for (watch, target) in watches.iter().zip(targets) {
            if let Some(input) = watch.stuck(STUCK) {
                let path = arguments.findings.join(format!("{}-stuck", target.name));
                let written = std::fs::create_dir_all(&arguments.findings).and_then(|()| std::fs::write(&path, input));
                let _nobody_to_tell =
                    writeln!(std::io::stderr(), "{} does not end: {} ({written:?})", target.name, path.display());
                std::process::abort();
            }
        }
    }
}

fn report(arguments: &Arguments, outcomes: &[Outcome], seed: u64, took: Duration) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    writeln!(out, "{:<14}{:>12}{:>8}{:>9}{:>9}{:>10}", "target", "inputs", "corpus", "answers", "seconds", "findings")?;
    for outcome in outcomes {
        let Outcome { name, inputs, corpus, answers, took, findings } = outcome;
        let (seconds, findings) = (took.as_secs_f64(), findings.len());
        writeln!(out, "{name:<14}{inputs:>12}{corpus:>8}{answers:>9}{seconds:>9.1}{findings:>10}")?;
    }
    let findings: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.findings).collect();
    for finding in &findings {
        let path = finding.write(&arguments.findings)?;
        let shown: String = String::from_utf8_lossy(&finding.input).escape_debug().take(200).collect();
        writeln!(out, "{}: {}\n  {shown}\n  {}", finding.target, finding.why, path.display())?;
    }
    let inputs: u64 = outcomes.iter().map(|outcome| outcome.inputs).sum();
    let seconds = took.as_secs_f64();
    writeln!(out, "fuzz: {inputs} inputs, {} findings, {seconds:.0} s, seed {seed}", findings.len())?;
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
