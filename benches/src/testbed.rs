//! The testbed of one measure: a fresh database, a gateway, and the programs of the fleet as processes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use regua_store::{MIGRATOR, PoolMode, PoolSettings, Role};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use tokio::time::Instant;

use crate::gateway::Gateway;
use crate::process::{Process, cpu_of_server, free_port};

/// WAL files of 16 MiB: more than a short measure writes.
const WAL_FILES: usize = 32;

/// Testbeds of this run so far.
static TESTBEDS: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Testbed {
    /// For the measure's own queries.
    pub(crate) pool: PgPool,
    pub(crate) gateway: Gateway,
    database_url: String,
    namespace: String,
}

/// PostgreSQL's work so far.
#[derive(Clone, Copy)]
pub(crate) struct Counters {
    /// Transactions of this database, including those that only read.
    pub(crate) commits: f64,
    /// Bytes of WAL of the whole server.
    pub(crate) wal_bytes: f64,
    /// Processor time of the server in seconds; none where it runs on another machine.
    pub(crate) cpu_seconds: Option<f64>,
}

impl Testbed {
    /// Runs `work` with a fresh database on the server of `DATABASE_URL`, and drops the database.
    pub(crate) async fn with<T>(
        name: &str,
        gateway: Gateway,
        work: impl AsyncFnOnce(&Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let testbed = Self::new(name, gateway).await?;
        let done = Box::pin(work(&testbed)).await;
        if done.is_ok() {
            crate::statements::print_slowest(&testbed.pool).await?;
        }
        let ended = testbed.end().await;
        let done = done?;
        ended?;
        Ok(done)
    }

    async fn new(name: &str, gateway: Gateway) -> anyhow::Result<Self> {
        let server = server()?;
        // Also RabbitMQ's namespace: this testbed must not receive doorbells of an earlier one.
        let namespace = format!("bench_{name}_{}_{}", std::process::id(), TESTBEDS.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&server).await?;
        admin.execute(AssertSqlSafe(format!("create database {namespace}"))).await?;
        let (before, _) = server.rsplit_once('/').context("DATABASE_URL names no database")?;
        let database_url = format!("{before}/{namespace}");
        let mut conn = PgConnection::connect(&database_url).await?;
        MIGRATOR.run(&mut conn).await?;
        conn.close().await?;
        let pool = regua_store::pool(&PoolSettings {
            database_url: database_url.clone(),
            application_name: "regua-bench",
            role: Role::Login,
            pool_mode: PoolMode::Session,
            max_connections: 8,
            acquire_timeout: Duration::from_secs(10),
        })?;
        Ok(Self { pool, gateway, database_url, namespace })
    }

    async fn end(self) -> anyhow::Result<()> {
        self.pool.close().await;
        let mut admin = PgConnection::connect(&server()?).await?;
        let drop = format!("drop database {} with (force)", self.namespace);
        admin.execute(AssertSqlSafe(drop)).await?;
        Ok(())
    }

    /// Gives PostgreSQL what it has after a day: statistics, and WAL files, which it would else create during a commit.
    /// Without the right to call `pg_switch_wal` the files are left out.
    pub(crate) async fn prepare_postgres(&self) -> anyhow::Result<()> {
        let mut conn = self.connect().await?;
        for _ in 0..WAL_FILES {
            if conn.execute("select pg_logical_emit_message(false, '', ''), pg_switch_wal()").await.is_err() {
                break;
            }
        }
        for statement in ["vacuum (analyze)", "checkpoint"] {
            conn.execute(statement).await?;
        }
        Ok(())
    }

    /// A connection without the settings of the fleet's pool.
    pub(crate) async fn connect(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.database_url).await?)
    }

    /// Starts an API and waits until it is ready; returns it with its address.
    pub(crate) async fn api(&self) -> anyhow::Result<(Process, String)> {
        // No rate limit for the one address of all callers.
        let more = [
            ("BIND_ADDRESS", "127.0.0.1".to_owned()),
            ("RATE_LIMIT_IP_PER_MINUTE", "0".to_owned()),
            ("RATE_LIMIT_CHANGES_PER_MINUTE", "1000000".to_owned()),
        ];
        self.start("regua-api", "PORT", &more).await
    }

    pub(crate) async fn worker(&self) -> anyhow::Result<Process> {
        Ok(self.start("regua-worker", "METRICS_PORT", &[]).await?.0)
    }

    pub(crate) async fn periodic(&self) -> anyhow::Result<Process> {
        Ok(self.start("regua-periodic", "METRICS_PORT", &[]).await?.0)
    }

    async fn start(
        &self,
        name: &'static str,
        port_variable: &'static str,
        more: &[(&'static str, String)],
    ) -> anyhow::Result<(Process, String)> {
        let port = free_port()?;
        let mut environment = vec![
            ("DATABASE_URL", self.database_url.clone()),
            ("AMQP_NAMESPACE", self.namespace.clone()),
            (port_variable, port.to_string()),
        ];
        environment.extend_from_slice(more);
        let process = Process::start(name, &environment)?;
        let url = format!("http://127.0.0.1:{port}");
        await_ready(&url).await.with_context(|| format!("{name} does not become ready"))?;
        Ok((process, url))
    }

    /// PostgreSQL's work so far. End the fleet's processes first: a connection reports its transactions when it ends,
    /// or some seconds later.
    pub(crate) async fn counters(&self) -> anyhow::Result<Counters> {
        let (backend, commits, wal): (i32, i64, i64) = sqlx::query_as(
            "select pg_backend_pid(), xact_commit, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint
             from pg_stat_database where datname = current_database()",
        )
        .fetch_one(&self.pool)
        .await?;
        let cpu_seconds = cpu_of_server(u32::try_from(backend)?);
        Ok(Counters { commits: commits as f64, wal_bytes: wal as f64, cpu_seconds })
    }

    /// Sent messages, by the queues' counts.
    pub(crate) async fn sent(&self) -> anyhow::Result<usize> {
        let sent: i64 =
            sqlx::query_scalar("select coalesce(sum(sent), 0)::bigint from queues").fetch_one(&self.pool).await?;
        Ok(usize::try_from(sent)?)
    }

    /// Waits until every doorbell is published.
    pub(crate) async fn until_published(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while sqlx::query_scalar("select exists (select from doorbells)").fetch_one(&self.pool).await? {
            ensure!(Instant::now() < deadline, "doorbells are not published");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until `wanted` messages are sent; returns the time, and how many were sent then.
    pub(crate) async fn until_sent(&self, wanted: usize, timeout: Duration) -> anyhow::Result<(Instant, usize)> {
        let deadline = Instant::now() + timeout;
        loop {
            let sent = self.sent().await?;
            if sent >= wanted {
                return Ok((Instant::now(), sent));
            }
            ensure!(Instant::now() < deadline, "only {sent} of {wanted} were sent within {} s", timeout.as_secs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn server() -> anyhow::Result<String> {
    std::env::var("DATABASE_URL").context("DATABASE_URL is not set: run `make bench`")
}

async fn await_ready(url: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Ok(answer) = client.get(format!("{url}/readyz")).send().await
            && answer.status().is_success()
        {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "/readyz reports no readiness for 20 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
