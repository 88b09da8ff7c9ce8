//! `regua dev`: every process in one, with a tenant, a key that everybody knows, and a sandbox as gateway.

use clap::Args;

use crate::api_key::{self, DEVELOPMENT_KEY};
use crate::arguments::Ending;
use crate::example_tenant::{self, Pace, RATE};
use crate::fleet::{Fleet, FleetArguments};
use crate::output;

/// Where the sandbox listens if it can.
const SANDBOX_PORT: u16 = 8090;

/// What `regua dev` takes.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  DATABASE_URL=postgres://regua:…@127.0.0.1/regua regua dev --port 8080\n\nWithout servers of your own: make dev"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    fleet: FleetArguments,
    /// Port of the API, at 127.0.0.1
    #[arg(long, env = "PORT", default_value_t = 8080)]
    port: u16,
}

/// Runs until Ctrl-C.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    let shutdown = regua_boot::on_signal()?;
    let (fleet, mut programs) = Fleet::open("dev", &arguments.fleet, Some(arguments.port), SANDBOX_PORT).await?;
    let pool = &fleet.pool;
    let tenant =
        example_tenant::ensure(pool, &fleet.secrets, &fleet.gateway, Pace { rate: RATE, concurrency: 1 }).await?;
    let mut transaction = pool.begin().await?;
    api_key::ensure_development_key(&mut transaction, tenant).await?;
    transaction.commit().await?;
    fleet.start_senders(&mut programs)?;
    print_addresses(&fleet, DEVELOPMENT_KEY)?;
    print_first_send(&fleet)?;
    let failed = tokio::select! {
        () = shutdown.cancelled() => None,
        error = programs.failed() => Some(error),
    };
    output::remark("\nstopping …");
    let ended = programs.end().await;
    failed.map_or(Ok(()), Err)?;
    ended?;
    Ok(Ending::Done)
}

/// Where everything is.
pub(crate) fn print_addresses(fleet: &Fleet, key: &str) -> anyhow::Result<()> {
    let Fleet { api, gateway, .. } = fleet;
    output::line(format_args!("  API             {api}/api/v1/billing"))?;
    output::line(format_args!("  documentation   {api}/docs"))?;
    output::line(format_args!("  metrics         {api}/metrics"))?;
    output::line(format_args!("  what has left   {gateway}/sandbox/ledger"))?;
    output::line(format_args!("  key             {key}"))?;
    output::line(format_args!("  secrets         sealed with {}", fleet.secret_key()))?;
    output::line(format_args!("  broker          {}", fleet.broker()))
}

fn print_first_send(fleet: &Fleet) -> anyhow::Result<()> {
    let api = &fleet.api;
    output::line("\nThe key is for development only: everybody knows it. A first send, from the checkout's folder:\n")?;
    output::line(format_args!("  curl -sS {api}/api/v1/billing/send/overdue \\"))?;
    output::line(format_args!("    -H 'X-Billing-API-Key: {DEVELOPMENT_KEY}' \\"))?;
    output::line("    -H 'Content-Type: application/json' -d @examples/send.json")?;
    output::line("\nTenant \"demo\" sends round the clock, to the sandbox alone. Ctrl-C ends everything.")
}
