//! `regua dev`: every program in one process, with the example tenant, the development key, and a sandbox as gateway.

use std::future::pending;
use std::process::ExitCode;

use clap::Args;

use crate::fleet::api_keys::{self, DEVELOPMENT_KEY};
use crate::fleet::example_tenant::{self, Pace};
use crate::fleet::{Fleet, FleetArguments};
use crate::output;

/// The preferred port of the sandbox.
const SANDBOX_PORT: u16 = 8090;

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
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let shutdown = regua_boot::on_signal()?;
    let (fleet, mut programs) = Fleet::open("dev", &arguments.fleet, Some(arguments.port), SANDBOX_PORT).await?;
    let pool = &fleet.pool;
    let tenant = example_tenant::ensure(pool, &fleet.secrets, &fleet.gateway, Pace::for_contacts(0)).await?;
    let mut transaction = pool.begin().await?;
    api_keys::ensure_development_key(&mut transaction, tenant).await?;
    transaction.commit().await?;
    fleet.start_senders(&mut programs)?;
    fleet.print_addresses(DEVELOPMENT_KEY)?;
    print_first_send(&fleet)?;
    programs.run_until(&shutdown, pending::<anyhow::Result<()>>()).await?;
    Ok(ExitCode::SUCCESS)
}

fn print_first_send(fleet: &Fleet) -> anyhow::Result<()> {
    let api = &fleet.api;
    output::line("\nThe key is public, for development only. A first send, from the checkout's folder:\n")?;
    output::line(format_args!("  curl -sS {api}/api/v1/billing/send/overdue \\"))?;
    output::line(format_args!("    -H 'X-Billing-API-Key: {DEVELOPMENT_KEY}' \\"))?;
    output::line("    -H 'Content-Type: application/json' -d @examples/send.json")?;
    output::line("\nTenant \"demo\" sends round the clock, to the sandbox alone. Ctrl-C ends everything.")
}
