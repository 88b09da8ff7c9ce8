//! `regua doctor`: looks for what is wrong, and says of each thing whether it is well and what to do.

mod checks;

use std::time::Duration;

use clap::Args;
use regua_boot::{BrokerArguments, DatabaseArguments, SecretArguments, Services};
use regua_store::{PoolMode, Role};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use tokio::time::{Instant, sleep};

use crate::arguments::{Ending, Form};
use crate::{database, output};

/// How long RabbitMQ has to answer.
const BROKER_PATIENCE: Duration = Duration::from_secs(5);

/// What `regua doctor` takes.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  regua doctor\n  regua doctor --repair\n\nExit status 1 when something fails; warnings do not count."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    broker: BrokerArguments,
    #[command(flatten)]
    secrets: SecretArguments,
    /// Count the contacts of queues anew whose kept counts are wrong
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    form: Form,
}

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    check: &'static str,
    health: Health,
    /// What was seen, and where it is not well what to do.
    detail: String,
}

impl Finding {
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

/// Looks at everything; fails when something does.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let services = Services::open("regua-doctor", Role::Platform, &arguments.database, &arguments.broker)?;
    let mut findings = match services.pool.acquire().await {
        Ok(_) => look(&services.pool, arguments).await,
        Err(error) => vec![Finding::fail("database", explained(&error.into()))],
    };
    findings.push(broker(&services).await);
    if arguments.form.json {
        output::json(&findings)?;
    } else {
        let word = |health| match health {
            Health::Ok => "ok",
            Health::Warn => "WARN",
            Health::Fail => "FAIL",
        };
        output::table(
            ["", "CHECK", "FOUND"],
            findings.iter().map(|one| [word(one.health).to_owned(), one.check.to_owned(), one.detail.clone()]),
        )?;
    }
    Ok(Ending::of(findings.iter().all(|finding| finding.health != Health::Fail)))
}

/// The database's findings. Without all tables the rest cannot be looked at.
async fn look(pool: &PgPool, arguments: &Arguments) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut note = |check, found: anyhow::Result<Vec<Finding>>| {
        findings.extend(found.unwrap_or_else(|error| vec![Finding::fail(check, explained(&error))]));
    };
    note("server", alone(pool, checks::server).await);
    if arguments.database.pool_mode() == PoolMode::Transaction {
        note("pooler", alone(pool, checks::pooler).await);
    }
    let schema = alone(pool, checks::schema).await;
    let has_tables = schema.as_ref().is_ok_and(|found| found.iter().all(|one| one.health != Health::Fail));
    note("schema", schema);
    if has_tables {
        let is_rabbitmq = arguments.broker.amqp_url.is_some();
        note("counts", alone(pool, async |conn| checks::counts(conn, arguments.repair).await).await);
        note("outbox", alone(pool, checks::outbox).await);
        note("dead letters", alone(pool, async |conn| checks::dead_letters(conn, is_rabbitmq).await).await);
        note("leases", alone(pool, checks::leases).await);
        note("instances", alone(pool, checks::instances).await);
        note("secrets", alone(pool, async |conn| checks::secrets(conn, &arguments.secrets).await).await);
    }
    findings
}

/// Each check in a transaction of its own: after an error in it nothing more could be looked at.
async fn alone(
    pool: &PgPool,
    check: impl AsyncFnOnce(&mut PgConnection) -> anyhow::Result<Vec<Finding>>,
) -> anyhow::Result<Vec<Finding>> {
    let mut transaction = pool.begin().await?;
    let found = check(&mut transaction).await?;
    transaction.commit().await?;
    Ok(found)
}

/// RabbitMQ is connected in the background, so it is asked until it has had its time.
async fn broker(services: &Services) -> Finding {
    let name = services.broker.name();
    let started = Instant::now();
    loop {
        match services.broker.ping().await {
            Ok(()) if name == "embedded" => {
                return Finding::ok("broker", "embedded in PostgreSQL (AMQP_URL is not set)");
            }
            Ok(()) => return Finding::ok("broker", "RabbitMQ answers"),
            Err(_) if started.elapsed() < BROKER_PATIENCE && name != "embedded" => {
                sleep(Duration::from_millis(100)).await;
            }
            Err(error) if name == "embedded" => return Finding::fail("broker", explained(&error)),
            Err(error) => {
                return Finding::fail("broker", format!("{}; check AMQP_URL, and that it runs", explained(&error)));
            }
        }
    }
}

fn explained(error: &anyhow::Error) -> String {
    database::explain(error).unwrap_or_else(|| format!("{error:#}"))
}
