//! Measures the latency of well-behaved callers, idle and under load. The exit status is 0 if the ratio is at most 2.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use regua_tests::load::{self, Comparison};
use regua_tests::{Client, Fleet, FleetOptions, Process, TenantOptions, eventually};
use sqlx::Executor;

/// Goal: latency under load divided by the idle latency.
const MAX_RATIO: f64 = 2.0;

/// WAL files of 16 MiB that are created before the measurement, more than a run writes.
const WAL_FILES: usize = 64;

/// Measure the latency of well-behaved callers under load.
#[derive(Debug, Parser)]
#[command(name = "regua-security")]
struct Arguments {
    /// Requests with unknown keys a second
    #[arg(long, env = "SECURITY_BAD_KEYS", default_value_t = 10_000)]
    bad_keys: usize,
    /// Seconds of each part of the flood measurement
    #[arg(long, env = "SECURITY_SECONDS", default_value_t = 20)]
    seconds: u64,
    /// Posts of each size, idle and loaded
    #[arg(long, env = "SECURITY_POSTS", default_value_t = 1000)]
    posts: usize,
    /// Measure one part only
    #[arg(long, env = "SECURITY_ONLY")]
    only: Option<Part>,
    /// Report the figures without checking the goal, because other work runs on this machine
    #[arg(long, env = "SECURITY_SHARED_MACHINE", default_value_t = false, action = clap::ArgAction::Set)]
    shared_machine: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Reads during a flood of unknown keys
    Flood,
    /// Posts beside a greedy tenant
    Posts,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut is_met = true;
    if arguments.only != Some(Part::Posts) {
        is_met &= flood(&arguments).await?;
    }
    if arguments.only != Some(Part::Flood) {
        is_met &= fairness(&arguments).await?;
    }
    Ok(if is_met || arguments.shared_machine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn meets_goal(comparison: &Comparison, quantiles: &[f64]) -> bool {
    quantiles.iter().all(|quantile| comparison.ratio(*quantile) <= MAX_RATIO)
}

/// Prints the latencies of reads, and returns whether they meet the goal.
async fn flood(arguments: &Arguments) -> anyhow::Result<bool> {
    let (fleet, _, client, api) = start_api().await?;
    let url = client.base().to_owned();
    let (comparison, bad) =
        load::flood(&url, &client, arguments.bad_keys, Duration::from_secs(arguments.seconds)).await;
    drop(api);
    fleet.end().await;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "bad keys: {} made ({:.0} a second), {} looked up and unknown (401), {} refused without a look-up (429), {} refused as too many at once (503)",
        bad.made, bad.per_second, bad.unknown, bad.limited, bad.busy
    )?;
    writeln!(out, "{comparison}")?;
    Ok(meets_goal(&comparison, &[0.5, 0.99]))
}

/// Prints the latencies of posts, and returns whether they meet the goal.
async fn fairness(arguments: &Arguments) -> anyhow::Result<bool> {
    let (fleet, greedy, client, api) = start_api().await?;
    for client in [&client, &greedy] {
        for number in 0..100 {
            client.send_accepted("overdue", &regua_tests::batch(&format!("before-{number}"), 100)).await;
        }
    }
    warm_up_database(&fleet).await?;
    let (comparisons, accepted) = load::fairness(&client, &greedy, &[1, 100], arguments.posts).await;
    drop(api);
    fleet.end_unfinished().await;
    let mut out = std::io::stdout();
    writeln!(out, "batches of 10,000 contacts accepted meanwhile: {accepted}")?;
    for comparison in &comparisons {
        writeln!(out, "{comparison}")?;
    }
    Ok(comparisons.iter().all(|comparison| meets_goal(comparison, &[0.99])))
}

/// Creates statistics, and WAL files to reuse, as in a database that has run for a while.
async fn warm_up_database(fleet: &Fleet) -> anyhow::Result<()> {
    for _ in 0..WAL_FILES {
        fleet.database.pool.execute("select pg_logical_emit_message(false, '', ''), pg_switch_wal()").await?;
    }
    for statement in ["checkpoint", "vacuum analyze"] {
        fleet.database.pool.execute(statement).await?;
    }
    Ok(())
}

async fn start_api() -> anyhow::Result<(Fleet, Client, Client, Process)> {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, greedy, _) = Fleet::with(options, TenantOptions::default()).await;
    let quiet = TenantOptions { slug: "quiet", instances: vec!["quiet".to_owned()], ..TenantOptions::default() };
    let quiet = fleet.create_tenant(&quiet).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let binary = std::env::current_exe()?.with_file_name("regua-test-process");
    let port_text = port.to_string();
    let more = [("PORT", port_text.as_str()), ("BIND_ADDRESS", "127.0.0.1"), ("RATE_LIMIT_IP_PER_MINUTE", "0")];
    let api = Process::for_fleet(&fleet, &binary.display().to_string(), "api", &more);
    let url = format!("http://127.0.0.1:{port}");
    let probe = reqwest::Client::new();
    eventually("the API to be ready", async || {
        probe.get(format!("{url}/readyz")).send().await.is_ok_and(|answer| answer.status().is_success())
    })
    .await;
    Ok((fleet, Client::new(&url, &greedy.key), Client::new(&url, &quiet.key), api))
}
