//! `regua doctor`: checks the database, the broker and the secrets, and names a remedy for each problem.

mod checks;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use regua_boot::{BrokerArguments, DatabaseArguments, Services};
use regua_secrets::SecretArguments;
use regua_store::{PoolMode, Role};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use tokio::time::{Instant, sleep};

use crate::output::OutputFormat;
use crate::{database, output};

const BROKER_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  regua doctor\n  regua doctor --repair\n\nExit status 1 when a check fails; warnings do not count."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    broker: BrokerArguments,
    #[command(flatten)]
    secrets: SecretArguments,
    /// Correct the counts of queues that differ from their contacts
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    format: OutputFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Ok,
    Warn,
    Fail,
}

/// What a check found, with the remedy for a problem.
#[derive(Serialize)]
struct Finding {
    check: &'static str,
    health: Health,
    detail: String,
}

type Findings = anyhow::Result<Vec<Finding>>;

fn ok(detail: impl Into<String>) -> Finding {
    Finding { check: "", health: Health::Ok, detail: detail.into() }
}

fn warn(detail: impl Into<String>) -> Finding {
    Finding { health: Health::Warn, ..ok(detail) }
}

fn fail(detail: impl Into<String>) -> Finding {
    Finding { health: Health::Fail, ..ok(detail) }
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let services = Services::open("regua-doctor", Role::Platform, &arguments.database, &arguments.broker)?;
    let mut results = match services.pool.acquire().await {
        Ok(_) => check_database(&services.pool, arguments).await,
        Err(error) => vec![Finding { check: "database", ..fail(database::describe(&error.into())) }],
    };
    results.push(Finding { check: "broker", ..check_broker(&services).await });
    arguments.format.listing(&results, ["", "CHECK", "FOUND"], |one| {
        let word = match one.health {
            Health::Ok => "ok",
            Health::Warn => "WARN",
            Health::Fail => "FAIL",
        };
        [word.to_owned(), one.check.to_owned(), one.detail.clone()]
    })?;
    Ok(output::success_if(results.iter().all(|result| result.health != Health::Fail)))
}

/// The checks after `schema` need all tables.
async fn check_database(pool: &PgPool, arguments: &Arguments) -> Vec<Finding> {
    let mut results = Vec::new();
    let mut add = |check, findings: Findings| {
        let findings = findings.unwrap_or_else(|error| vec![fail(database::describe(&error))]);
        results.extend(findings.into_iter().map(|finding| Finding { check, ..finding }));
    };
    add("database", in_transaction(pool, checks::server).await);
    add("durability", in_transaction(pool, checks::durability).await);
    if arguments.database.pool_mode() == PoolMode::Transaction {
        add("pooler", in_transaction(pool, checks::pooler).await);
    }
    let schema = in_transaction(pool, checks::schema).await;
    let has_tables = schema.as_ref().is_ok_and(|findings| findings.iter().all(|one| one.health != Health::Fail));
    add("schema", schema);
    if has_tables {
        let is_rabbitmq = arguments.broker.amqp_url.is_some();
        add("counts", in_transaction(pool, async |conn| checks::counts(conn, arguments.repair).await).await);
        add("outbox", in_transaction(pool, checks::doorbells).await);
        add("dead letters", in_transaction(pool, async |conn| checks::dead_letters(conn, is_rabbitmq).await).await);
        add("leases", in_transaction(pool, checks::leases).await);
        add("instances", in_transaction(pool, checks::instances).await);
        add("secrets", in_transaction(pool, async |conn| checks::secrets(conn, &arguments.secrets).await).await);
    }
    results
}

/// One transaction for each check: an error aborts the transaction.
async fn in_transaction(pool: &PgPool, check: impl AsyncFnOnce(&mut PgConnection) -> Findings) -> Findings {
    let mut transaction = pool.begin().await?;
    let results = check(&mut transaction).await?;
    transaction.commit().await?;
    Ok(results)
}

/// The broker client connects to RabbitMQ in the background, so the ping is repeated until the timeout.
async fn check_broker(services: &Services) -> Finding {
    let is_embedded = services.broker.name() == "embedded";
    let started = Instant::now();
    loop {
        match services.broker.ping().await {
            Ok(()) if is_embedded => return ok("embedded in PostgreSQL (AMQP_URL is not set)"),
            Ok(()) => return ok("RabbitMQ answers"),
            Err(error) if is_embedded => return fail(database::describe(&error)),
            Err(_) if started.elapsed() < BROKER_TIMEOUT => sleep(Duration::from_millis(100)).await,
            Err(error) => return fail(format!("{}; check AMQP_URL, and that it runs", database::describe(&error))),
        }
    }
}
