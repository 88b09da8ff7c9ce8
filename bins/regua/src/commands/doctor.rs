//! `regua doctor`: checks the database, the broker and the secrets, and names a remedy for each problem.

mod checks;

use std::time::Duration;

use clap::Args;
use regua_boot::{BrokerArguments, DatabaseArguments, Services};
use regua_secrets::SecretArguments;
use regua_store::{PoolMode, Role};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use tokio::time::{Instant, sleep};

use crate::exit_status::ExitStatus;
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

#[derive(Clone, Debug, Serialize)]
struct CheckResult {
    check: &'static str,
    health: Health,
    /// What the check found, with the remedy for a problem.
    detail: String,
}

impl CheckResult {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, health: Health::Ok, detail: detail.into() }
    }

    fn warn(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, health: Health::Warn, detail: detail.into() }
    }

    fn fail(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, health: Health::Fail, detail: detail.into() }
    }
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let services = Services::open("regua-doctor", Role::Platform, &arguments.database, &arguments.broker)?;
    let mut results = match services.pool.acquire().await {
        Ok(_) => check_database(&services.pool, arguments).await,
        Err(error) => vec![CheckResult::fail("database", database::describe(&error.into()))],
    };
    results.push(check_broker(&services).await);
    if arguments.format.json {
        output::json(&results)?;
    } else {
        let word = |health| match health {
            Health::Ok => "ok",
            Health::Warn => "WARN",
            Health::Fail => "FAIL",
        };
        output::table(
            ["", "CHECK", "FOUND"],
            results.iter().map(|one| [word(one.health).to_owned(), one.check.to_owned(), one.detail.clone()]),
        )?;
    }
    Ok(ExitStatus::success_if(results.iter().all(|result| result.health != Health::Fail)))
}

/// The checks after `schema` need all tables.
async fn check_database(pool: &PgPool, arguments: &Arguments) -> Vec<CheckResult> {
    let mut results = Vec::new();
    let mut add = |check, outcome: anyhow::Result<Vec<CheckResult>>| {
        results.extend(outcome.unwrap_or_else(|error| vec![CheckResult::fail(check, database::describe(&error))]));
    };
    add("server", in_transaction(pool, checks::server).await);
    if arguments.database.pool_mode() == PoolMode::Transaction {
        add("pooler", in_transaction(pool, checks::pooler).await);
    }
    let schema = in_transaction(pool, checks::schema).await;
    let has_tables = schema.as_ref().is_ok_and(|results| results.iter().all(|one| one.health != Health::Fail));
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
async fn in_transaction(
    pool: &PgPool,
    check: impl AsyncFnOnce(&mut PgConnection) -> anyhow::Result<Vec<CheckResult>>,
) -> anyhow::Result<Vec<CheckResult>> {
    let mut transaction = pool.begin().await?;
    let results = check(&mut transaction).await?;
    transaction.commit().await?;
    Ok(results)
}

/// The broker client connects to RabbitMQ in the background, so the ping is repeated until the timeout.
async fn check_broker(services: &Services) -> CheckResult {
    let name = services.broker.name();
    let started = Instant::now();
    loop {
        match services.broker.ping().await {
            Ok(()) if name == "embedded" => {
                return CheckResult::ok("broker", "embedded in PostgreSQL (AMQP_URL is not set)");
            }
            Ok(()) => return CheckResult::ok("broker", "RabbitMQ answers"),
            Err(_) if started.elapsed() < BROKER_TIMEOUT && name != "embedded" => {
                sleep(Duration::from_millis(100)).await;
            }
            Err(error) if name == "embedded" => return CheckResult::fail("broker", database::describe(&error)),
            Err(error) => {
                return CheckResult::fail(
                    "broker",
                    format!("{}; check AMQP_URL, and that it runs", database::describe(&error)),
                );
            }
        }
    }
}
