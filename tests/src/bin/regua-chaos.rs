//! Runs chaos and prints the report. The exit status is 0 only if every check holds.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use regua_tests::chaos::{Options, Report, run};
use tokio::signal::unix::{SignalKind, signal};

/// Kill, freeze and cut everything while messages are sent, and check that none is lost, doubled or misreported.
#[derive(Debug, Parser)]
#[command(name = "regua-chaos")]
struct Arguments {
    /// Messages to send
    #[arg(long, env = "CHAOS_MESSAGES", default_value_t = 20_000)]
    messages: usize,
    /// Faults to inject, one every two seconds
    #[arg(long, env = "CHAOS_FAULTS", default_value_t = 100)]
    faults: usize,
    /// The seed of a run to repeat; absent: a new seed
    #[arg(long, env = "CHAOS_SEED")]
    seed: Option<u64>,
    /// Report recovery times without checking them, because other work runs on this machine
    #[arg(long, env = "CHAOS_SHARED_MACHINE", default_value_t = false, action = clap::ArgAction::Set)]
    shared_machine: bool,
    /// File to which the report is appended as a line of JSON
    #[arg(long, env = "CHAOS_REPORT")]
    report: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    regua_boot::init_tls();
    let now = regua_boot::Clock::system().now();
    let folder = std::env::temp_dir().join(format!("regua-chaos-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let options = Options {
        messages: arguments.messages,
        faults: arguments.faults,
        seed: arguments.seed.unwrap_or_else(|| now.timestamp_millis().unsigned_abs()),
        binary: std::env::current_exe()?.with_file_name("regua-test-process"),
        folder,
        is_shared_machine: arguments.shared_machine,
    };
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened for")?;
    let mut out = std::io::stdout();
    // Dropping the run kills its processes.
    let report = tokio::select! {
        report = run(&options) => report,
        () = tokio::time::sleep(options.deadline()) => anyhow::bail!("not done after {:?}, seed {}", options.deadline(), options.seed),
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted, seed {}", options.seed),
        _ = terminate.recv() => anyhow::bail!("interrupted, seed {}", options.seed),
    };
    writeln!(out, "{report}")?;
    if let Some(path) = &arguments.report {
        append(&report, path)?;
    }
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn append(report: &Report, path: &Path) -> anyhow::Result<()> {
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    file.with_context(|| format!("CHAOS_REPORT: {}", path.display()))?.write_all(&line)?;
    Ok(())
}
