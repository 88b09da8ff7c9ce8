//! Runs the neighbour suite: attacks beside a victim, and a table of what the victim, memory and descriptors did. The
//! exit status is 0 if every promise holds. Each attack is this program again, in a process of its own.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use regua_tests::neighbour::{self, Attack, Binaries, LONGEST_ATTACK, Outcome, Settings, TABLE_HEAD, Target};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Run attacks beside a victim and measure what the victim loses.
#[derive(Debug, Parser)]
#[command(name = "regua-security")]
struct Arguments {
    /// Attacks to run; absent: all
    #[arg(long, env = "SECURITY_ONLY", value_delimiter = ',')]
    only: Vec<Attack>,
    /// Report the figures without checking the promises, because other work runs on this machine
    #[arg(long, env = "SECURITY_SHARED_MACHINE", default_value_t = false, action = clap::ArgAction::Set)]
    shared_machine: bool,
    /// Folder of the programs; absent: that of this program
    #[arg(long, env = "SECURITY_PROGRAMS")]
    programs: Option<PathBuf>,
    /// Attack the target of the environment
    #[arg(long, hide = true)]
    attack: Option<Attack>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    raise_descriptor_limit()?;
    match arguments.attack {
        Some(attack) => run_attack(attack).await.map(|()| ExitCode::SUCCESS),
        None => run_suite(&arguments).await,
    }
}

async fn run_attack(attack: Attack) -> anyhow::Result<()> {
    let target: Target = serde_json::from_str(&std::env::var(Target::VARIABLE)?)?;
    regua_boot::init_tls();
    let report = Box::pin(attack.run(&target));
    let report = tokio::time::timeout(LONGEST_ATTACK, report).await.context("the attack did not end in time")?;
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

async fn run_suite(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let own = std::env::current_exe()?;
    let folder = arguments.programs.clone().unwrap_or_else(|| own.with_file_name(""));
    let settings = Settings {
        binaries: Binaries::Folder(folder),
        attacker: own,
        divisor: 1,
        concurrent_requests: 512,
        victim_interval: Duration::from_millis(50),
        before: Duration::from_secs(10),
        during: Duration::from_secs(10),
        recovery: Duration::from_secs(10),
        after: Duration::from_secs(5),
        waits_for_messages: false,
    };
    neighbour::prepare_server().await;
    let all = if arguments.only.is_empty() { Attack::value_variants() } else { &arguments.only };
    let mut out = std::io::stdout();
    writeln!(out, "{TABLE_HEAD}")?;
    let mut holds = true;
    for attack in all {
        let outcome = Box::pin(neighbour::run(*attack, &settings)).await;
        print_progress(&outcome)?;
        writeln!(out, "{}", outcome.row())?;
        holds &= outcome.broken_promises().is_empty();
    }
    Ok(if holds || arguments.shared_machine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_progress(outcome: &Outcome) -> anyhow::Result<()> {
    let mut err = std::io::stderr();
    writeln!(err, "{}: {}", outcome.attack, outcome.report)?;
    match outcome.broken_promises().as_slice() {
        [] => writeln!(err, "  every promise holds")?,
        broken => broken.iter().try_for_each(|promise| writeln!(err, "  BROKEN {promise}"))?,
    }
    Ok(())
}

/// Attacks and programs open thousands of connections.
fn raise_descriptor_limit() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).context("ulimit -n cannot be raised")
}
