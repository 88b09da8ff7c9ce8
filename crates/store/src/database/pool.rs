//! The connection pool, the migrator, and the transactions of the fleet's loops.

use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, Postgres};

use crate::Role;

/// The migrations in `migrations/`, built into every binary that links this crate.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// Longest time of a transaction. Every transaction needs far less. A worker whose connection is silent repeats its
/// transaction within its lease.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time in which a connection of the pool must answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// How long after its last use a pinned connection is used without a ping.
const FRESH: Duration = Duration::from_secs(1);

/// Time limits of a session. A process that freezes inside a transaction holds its locks, which may include a lane's,
/// so that no other worker can take the lane over. A live process sends the next statement of a transaction at once.
const LIMITS: [(&str, &str); 3] =
    [("idle_in_transaction_session_timeout", "5s"), ("lock_timeout", "30s"), ("statement_timeout", "60s")];

/// Planner settings of a session. Each statement reads a few rows by an index. `enable_seqscan`: with statistics that
/// are older than the last batch, the planner takes a table for small and reads it whole. `jit`: compiling such a
/// statement takes longer than it saves. `plan_cache_mode`: one generic plan serves all values, and planning a claim
/// takes longer than running it.
const PLANS: [(&str, &str); 3] = [("enable_seqscan", "off"), ("jit", "off"), ("plan_cache_mode", "force_generic_plan")];

/// How long a pinned connection uses its plans. A plan that was made while a table was empty uses the wrong index (all
/// cost the same) and is cached until the first autovacuum of the table: in the first minute of a database, every new
/// row makes it slower (docs/performance.md).
const REPLAN_AFTER: Duration = Duration::from_secs(2);

/// How long a client keeps its PostgreSQL session: pgbouncer's `pool_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolMode {
    /// For the whole connection: without a pooler, or with a pooler in session mode.
    #[default]
    Session,
    /// For one transaction; the next transaction may get another session. docs/scale.md has the pooler's settings.
    Transaction,
}

/// Settings of a process's pool.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// `postgres://user:password@host:port/database`.
    pub database_url: String,
    /// Shown in `pg_stat_activity`.
    pub application_name: &'static str,
    /// The role of the sessions. In [`PoolMode::Transaction`] the login must be a member of that role alone.
    pub role: Role,
    /// How long a client keeps its session.
    pub pool_mode: PoolMode,
    /// Most open connections.
    pub max_connections: u32,
    /// Longest wait for a connection; after it the database counts as unavailable.
    pub acquire_timeout: Duration,
}

/// A pool that connects at its first use: a process starts while the database is away, and finds it later. It fails
/// when `database_url` cannot be parsed.
pub fn pool(settings: &PoolSettings) -> Result<PgPool, sqlx::Error> {
    let options = settings.database_url.parse::<PgConnectOptions>()?.application_name(settings.application_name);
    let options = match settings.pool_mode {
        PoolMode::Session => {
            options.options(LIMITS).options(PLANS).options(settings.role.name().map(|role| ("role", role)))
        }
        // The next transaction may not have the prepared statements of this one. The pooler refuses settings of a
        // session: its own settings contain the limits.
        PoolMode::Transaction => options.statement_cache_capacity(0).extra_float_digits(None),
    };
    Ok(PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .acquire_timeout(settings.acquire_timeout)
        // sqlx's own test has no time limit when a connection is returned, and the whole acquire timeout when one is
        // acquired, so that it would not try the next connection.
        .test_before_acquire(false)
        .before_acquire(|conn, _| Box::pin(is_alive(conn)))
        .after_release(|conn, _| Box::pin(is_alive(conn)))
        .connect_lazy_with(options))
}

/// Whether the connection answers; the pool closes and replaces one that does not.
async fn is_alive(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    Ok(matches!(tokio::time::timeout(PING_TIMEOUT, conn.ping()).await, Ok(Ok(()))))
}

/// A connection that one loop keeps, so that a busy loop does not acquire and ping one for each transaction.
pub struct PinnedConnection {
    pool: PgPool,
    /// The connection and the time of its last use.
    held: Option<(PoolConnection<Postgres>, Instant)>,
    /// When the plans were last discarded; none for a connection that was just acquired.
    planned_at: Option<Instant>,
}

impl PinnedConnection {
    /// Acquires no connection yet.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool, held: None, planned_at: None }
    }

    /// The connection, which answered less than `FRESH` ago.
    pub async fn get(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let mut held = self.held.take();
        if let Some((conn, used_at)) = &mut held
            && used_at.elapsed() > FRESH
            && !is_alive(conn).await?
        {
            conn.close_on_drop();
            held = None;
        }
        let mut conn = match held {
            Some((conn, _)) => conn,
            None => {
                self.planned_at = None;
                self.pool.acquire().await?
            }
        };
        if self.planned_at.is_none_or(|planned_at| planned_at.elapsed() > REPLAN_AFTER) {
            conn.execute("discard plans").await?;
            self.planned_at = Some(Instant::now());
        }
        Ok(&mut self.held.insert((conn, Instant::now())).0)
    }

    /// Returns the connection to the pool, after an error or when there is no work.
    pub fn give_back(&mut self) {
        self.held = None;
    }

    /// Awaits `work`. Returns the connection to the pool if `work` takes longer than `FRESH`.
    pub async fn await_work<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(work) = tokio::time::timeout(FRESH, &mut work).await {
            return work;
        }
        self.give_back();
        work.await
    }
}

/// Runs `work` in one transaction of at most [`TRANSACTION_TIMEOUT`]. An error of `work` rolls the transaction back.
/// After a timeout the transaction may be committed.
pub async fn transact<T, E: From<sqlx::Error>>(
    pool: &PgPool,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    within(TRANSACTION_TIMEOUT, async {
        let mut transaction = pool.begin().await?;
        let result = work(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(result)
    })
    .await
}

/// Drops `work` after `bound`, with the error that the database is unavailable; `work` may be committed. When the
/// network drops a connection without a reset, sqlx waits for ever, and the server's time limits do not help.
pub async fn within<T, E: From<sqlx::Error>>(
    bound: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let timed_out =
        |_| sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the database did not answer"));
    tokio::time::timeout(bound, work).await.map_err(timed_out)?
}

/// Whether the database was unavailable: away, full, shutting down, or a lock or a deadlock ended the transaction.
/// False when the database refused the statement.
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // 08 connection, 53 resources (disk full, too many connections), 57P0x shutdown, 58 system error,
        // 25006 read only (a failover in progress), 25P03 idle in a transaction for too long,
        // 40 rollback to be repeated, 55P03 lock not available
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            ["08", "53", "57", "58", "40"].iter().any(|class| code.starts_with(class))
                || matches!(&*code, "25006" | "25P03" | "55P03")
        }),
        _ => false,
    }
}

/// Fails when the database does not answer.
pub async fn ping(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("select 1 as one").fetch_one(conn).await?;
    Ok(())
}
