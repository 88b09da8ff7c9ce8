//! Serves the whole fleet with a tenant and runs a command: `regua-serve COMMAND…`. The command finds the API's
//! address, an API key and ids in its environment. The exit status is that of the command.

use std::process::{Command, ExitCode};

use anyhow::Context;
use regua_boot::Clock;
use regua_domain::UserRole;
use regua_tests::{Client, Fleet, FleetOptions, Tenant, TenantOptions, TestUser, batch};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().context("regua-serve COMMAND…")?;
    // The clock starts at the real time, because a caller may schedule a batch.
    let options = FleetOptions { now: Clock::system().now(), ..FleetOptions::default() };
    // With a low rate the queue stays open, so that it can be paused and resumed.
    let tenant = TenantOptions { rate: 1, ..TenantOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, tenant).await;
    let mut command = Command::new(program);
    command.args(arguments).envs(environment(&fleet, &tenant, &erp).await?);
    let status = tokio::task::spawn_blocking(move || command.status()).await?;
    fleet.end_unfinished().await;
    let code = status.context("the command cannot be run")?.code();
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// One object of each kind that an API path can name.
async fn environment(fleet: &Fleet, tenant: &Tenant, erp: &Client) -> anyhow::Result<Vec<(&'static str, String)>> {
    let queue = erp.send_accepted("notification", &batch("schemathesis", 20)).await;
    let contacts = erp.contacts(&queue).await;
    let contact = contacts.first().and_then(|contact| contact["contact_id"].as_str()).context("a contact")?;
    let owner = TestUser::logged_in(fleet, tenant, UserRole::Owner, "ana").await;
    Ok(vec![
        ("REGUA_ACCESS_TOKEN", owner.bearer.context("an access token")?),
        ("REGUA_URL", fleet.api.clone()),
        ("REGUA_API_KEY", tenant.key.clone()),
        ("REGUA_TENANT_ID", tenant.id.to_string()),
        ("REGUA_INSTANCE_ID", tenant.instances[0].to_string()),
        ("REGUA_WEBHOOK_SECRET", fleet.subscribe_webhook(tenant, "matriz").await),
        ("REGUA_QUEUE_ID", queue),
        ("REGUA_CONTACT_ID", contact.to_owned()),
    ])
}
