//! What the API withstands, measured: it prints how good callers fared with nobody else there and under load, and its exit
//! status is 0 only if they took no more than twice as long.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use regua_tests::load::{self, Compared};
use regua_tests::{Client, Fleet, FleetOptions, Process, TenantOptions, eventually};
use sqlx::Executor;

/// Goal: so many times as long as with nobody else there.
const AT_MOST: f64 = 2.0;

/// Files of 16 MiB that are there beforehand: more than a run writes.
const LOG_FILES: usize = 64;

/// Measures what the API withstands.
#[derive(Debug, Parser)]
#[command(name = "regua-security")]
struct Arguments {
    /// Requests with unknown keys in a second
    #[arg(long, env = "SECURITY_BAD_KEYS", default_value_t = 10_000)]
    bad_keys: usize,
    /// Seconds of each part of the flood's measure
    #[arg(long, env = "SECURITY_SECONDS", default_value_t = 20)]
    seconds: u64,
    /// Posts of each size, idle and loaded
    #[arg(long, env = "SECURITY_POSTS", default_value_t = 1000)]
    posts: usize,
    /// Other work runs on this machine: figures are told, and not judged
    #[arg(long, env = "SECURITY_SHARED_MACHINE", default_value_t = false, action = clap::ArgAction::Set)]
    shared_machine: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout();
    let (compared, bad) = flood(&arguments).await?;
    writeln!(
        out,
        "bad keys: {} made ({:.0} a second), {} looked up and unknown (401), {} refused without a look-up (429), {} refused as too many at once (503)",
        bad.made, bad.per_second, bad.unknown, bad.limited, bad.busy
    )?;
    writeln!(out, "{compared}")?;
    let mut holds = holds(&compared, &[0.5, 0.99]);
    let (posts, taken) = fairness(&arguments).await?;
    writeln!(out, "batches of 10,000 contacts taken meanwhile: {taken}")?;
    for compared in &posts {
        writeln!(out, "{compared}")?;
        holds &= self::holds(compared, &[0.99]);
    }
    Ok(if holds || arguments.shared_machine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn holds(compared: &Compared, shares: &[f64]) -> bool {
    shares.iter().all(|share| compared.ratio(*share) <= AT_MOST)
}

async fn flood(arguments: &Arguments) -> anyhow::Result<(Compared, load::Answered)> {
    let (fleet, _, client, api) = stage().await?;
    let url = client.base().to_owned();
    let measured = load::flood(&url, &client, arguments.bad_keys, Duration::from_secs(arguments.seconds)).await;
    drop(api);
    fleet.end().await;
    Ok(measured)
}

async fn fairness(arguments: &Arguments) -> anyhow::Result<(Vec<Compared>, usize)> {
    let (fleet, greedy, client, api) = stage().await?;
    for client in [&client, &greedy] {
        for number in 0..100 {
            client.accepted("overdue", &regua_tests::batch(&format!("before-{number}"), 100)).await;
        }
    }
    settle(&fleet).await?;
    let measured = load::fairness(&client, &greedy, &[1, 100], arguments.posts).await;
    drop(api);
    fleet.end_unfinished().await;
    Ok(measured)
}

/// Brings the database to where one is that has run for a while: it has files for its log, which it would else have to make
/// in the middle of somebody's commit, and statistics.
async fn settle(fleet: &Fleet) -> anyhow::Result<()> {
    for _ in 0..LOG_FILES {
        fleet.database.pool.execute("select pg_logical_emit_message(false, '', ''), pg_switch_wal()").await?;
    }
    for statement in ["checkpoint", "vacuum analyze"] {
        fleet.database.pool.execute(statement).await?;
    }
    Ok(())
}

/// An API in a process of its own, and two tenants.
async fn stage() -> anyhow::Result<(Fleet, Client, Client, Process)> {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, greedy, _) = Fleet::with(options, TenantOptions::default()).await;
    let quiet = TenantOptions { slug: "quiet", instances: vec!["quiet".to_owned()], ..TenantOptions::default() };
    let quiet = fleet.tenant(&quiet).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let binary = std::env::current_exe()?.with_file_name("regua-test-process");
    let port_text = port.to_string();
    let more = [("PORT", port_text.as_str()), ("BIND_ADDRESS", "127.0.0.1"), ("RATE_LIMIT_IP_PER_MINUTE", "0")];
    let api = Process::of(&fleet, &binary.display().to_string(), "api", &more);
    let url = format!("http://127.0.0.1:{port}");
    let probe = reqwest::Client::new();
    eventually("the API to be ready", async || {
        probe.get(format!("{url}/readyz")).send().await.is_ok_and(|answer| answer.status().is_success())
    })
    .await;
    Ok((fleet, Client::new(&url, &greedy.key), Client::new(&url, &quiet.key), api))
}
