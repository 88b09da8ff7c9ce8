//! Runs the fuzz targets, prints a table and writes the findings. The exit status is 0 only if there are none.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use regua_tests::fuzz::{CurrentInput, Effort, TARGETS, Target, TargetReport, corpus, fuzz, quiet_panics};

/// Time after which an input counts as one that never ends.
const STUCK: Duration = Duration::from_secs(20);

/// Feed mutated inputs to every parser of foreign data.
#[derive(Debug, Parser)]
#[command(name = "regua-fuzz")]
struct Arguments {
    /// Mutated inputs of each target
    #[arg(long, env = "FUZZ_INPUTS", default_value_t = 200_000)]
    inputs: u64,
    /// The seed of a run to repeat; absent: a new seed
    #[arg(long, env = "FUZZ_SEED")]
    seed: Option<u64>,
    /// Only targets with this text in their name
    #[arg(long, env = "FUZZ_ONLY", default_value = "")]
    only: String,
    /// Milliseconds that one input may take
    #[arg(long, default_value_t = 50)]
    slow: u64,
    /// The committed inputs
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))]
    corpus: PathBuf,
    /// Folder for the findings
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/fuzz"))]
    findings: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let now = regua_boot::Clock::system().now();
    let seed = arguments.seed.unwrap_or_else(|| now.timestamp_millis().unsigned_abs());
    quiet_panics();
    let targets: Vec<&Target> = TARGETS.iter().filter(|target| target.name.contains(&arguments.only)).collect();
    anyhow::ensure!(!targets.is_empty(), "no target has {:?} in its name", arguments.only);
    let started = Instant::now();
    let mut reports = run(&arguments, &targets, seed)?;
    reports.sort_by_key(|report| TARGETS.iter().position(|target| target.name == report.name));
    print(&arguments, &reports, seed, started.elapsed())
}

/// Runs as many targets at the same time as there are processors.
fn run(arguments: &Arguments, targets: &[&Target], seed: u64) -> anyhow::Result<Vec<TargetReport>> {
    let time_limit = Duration::from_millis(arguments.slow);
    let effort = Effort { inputs: arguments.inputs, seed, time_limit };
    let inputs: Vec<_> = targets.iter().map(|target| corpus(&arguments.corpus, target)).collect::<Result<_, _>>()?;
    let current: Vec<CurrentInput> = targets.iter().map(|_| CurrentInput::default()).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let processors = std::thread::available_parallelism().map_or(1, usize::from).min(targets.len());
    std::thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                while let Some((index, target)) = next_target(&next, targets) {
                    let report = fuzz(target, inputs[index].clone(), effort, &current[index]);
                    if let Ok(mut done) = done.lock() {
                        done.push(report);
                    }
                }
            });
        }
        scope.spawn(|| {
            abort_when_stuck(&current, targets, arguments, || {
                done.lock().is_ok_and(|done| done.len() == targets.len())
            });
        });
    });
    done.into_inner().ok().context("a target's thread panicked")
}

fn next_target<'a>(next: &AtomicUsize, targets: &[&'a Target]) -> Option<(usize, &'a Target)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    targets.get(index).map(|target| (index, *target))
}

/// A thread that never ends cannot be stopped: the input is written, and the process aborts.
fn abort_when_stuck(current: &[CurrentInput], targets: &[&Target], arguments: &Arguments, is_done: impl Fn() -> bool) {
    while !is_done() {
        std::thread::sleep(Duration::from_millis(200));
        for (current, target) in current.iter().zip(targets) {
            if let Some(input) = current.stuck(STUCK) {
                let path = arguments.findings.join(format!("{}-stuck", target.name));
                let written = std::fs::create_dir_all(&arguments.findings).and_then(|()| std::fs::write(&path, input));
                let _unreported =
                    writeln!(std::io::stderr(), "{} does not end: {} ({written:?})", target.name, path.display());
                std::process::abort();
            }
        }
    }
}

fn print(arguments: &Arguments, reports: &[TargetReport], seed: u64, took: Duration) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    writeln!(out, "{:<14}{:>12}{:>8}{:>9}{:>9}{:>10}", "target", "inputs", "corpus", "answers", "seconds", "findings")?;
    for report in reports {
        let TargetReport { name, inputs, corpus, answers, took, findings } = report;
        let (seconds, findings) = (took.as_secs_f64(), findings.len());
        writeln!(out, "{name:<14}{inputs:>12}{corpus:>8}{answers:>9}{seconds:>9.1}{findings:>10}")?;
    }
    let findings: Vec<_> = reports.iter().flat_map(|report| &report.findings).collect();
    for finding in &findings {
        let path = finding.write(&arguments.findings)?;
        let shown: String = String::from_utf8_lossy(&finding.input).escape_debug().take(200).collect();
        writeln!(out, "{}: {}\n  {shown}\n  {}", finding.target, finding.reason, path.display())?;
    }
    let inputs: u64 = reports.iter().map(|report| report.inputs).sum();
    let seconds = took.as_secs_f64();
    writeln!(out, "fuzz: {inputs} inputs, {} findings, {seconds:.0} s, seed {seed}", findings.len())?;
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
