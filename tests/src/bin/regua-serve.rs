//! Serves the whole fleet with a tenant, and runs a command against it: `regua-serve COMMAND…`. The command finds what is
//! there in its environment (`REGUA_URL`, `REGUA_API_KEY` and the ids below); its exit status is the program's.

use std::process::{Command, ExitCode};

use anyhow::Context;
use regua_boot::Clock;
use regua_domain::UserRole;
use regua_tests::{Client, Fleet, FleetOptions, Person, Tenant, TenantOptions, batch};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let program = words.next().context("regua-serve COMMAND…")?;
    // A hand-set clock, begun at the real time, because a caller may say for when a batch is scheduled.
    let options = FleetOptions { now: Clock::system().now(), ..FleetOptions::default() };
    // Slow enough that a queue stays open to be paused and resumed.
    let tenant = TenantOptions { rate: 1, ..TenantOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, tenant).await;
    let mut command = Command::new(program);
    command.args(words).envs(environment(&fleet, &tenant, &erp).await?);
    let status = tokio::task::spawn_blocking(move || command.status()).await?;
    fleet.end_unfinished().await;
    let code = status.context("the command cannot be run")?.code();
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Something of everything that a path can name.
async fn environment(fleet: &Fleet, tenant: &Tenant, erp: &Client) -> anyhow::Result<Vec<(&'static str, String)>> {
    let queue = erp.accepted("notification", &batch("schemathesis", 20)).await;
    let contacts = erp.contacts(&queue).await;
    let contact = contacts.first().and_then(|contact| contact["contact_id"].as_str()).context("a contact")?;
    let owner = Person::logged_in(fleet, tenant, UserRole::Owner, "ana").await;
    Ok(vec![
        ("REGUA_ACCESS_TOKEN", owner.bearer.context("an access token")?),
        ("REGUA_URL", fleet.api.clone()),
        ("REGUA_API_KEY", tenant.key.clone()),
        ("REGUA_TENANT_ID", tenant.id.to_string()),
        ("REGUA_INSTANCE_ID", tenant.instances[0].to_string()),
        ("REGUA_WEBHOOK_SECRET", fleet.subscribe(tenant, "matriz").await),
        ("REGUA_QUEUE_ID", queue),
        ("REGUA_CONTACT_ID", contact.to_owned()),
    ])
}
