//! The connection pool and the migrator.

use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, Postgres};

use crate::Role;

/// The migrations in `migrations/`, built into every binary that links this crate.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// How long a piece of work with the database may take: far longer than any needs, and short enough that a worker whose
/// connection has gone silent begins anew within its lease.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long a connection of the pool may take to say that it is alive.
const ALIVE_WITHIN: Duration = Duration::from_secs(2);

/// How long a connection that its holder keeps counts as alive.
const FRESH: Duration = Duration::from_secs(1);

/// Time limits of a session. A process that stands still in the middle of a transaction holds its locks, a lane's among
/// them, and nobody can take the lane over; none of ours rests for longer than the next statement takes to come.
const LIMITS: [(&str, &str); 3] =
    [("idle_in_transaction_session_timeout", "5s"), ("lock_timeout", "30s"), ("statement_timeout", "60s")];

/// How a session plans. Our statements touch a few rows, by an index; while the statistics lag behind a batch the planner may
/// think that a table is small and read all of it. Nothing of ours is worth being compiled, least of all a plan whose price
/// is a guess. Nor is it worth a plan of its own for each call: every statement has one that serves all its values, and
/// where PostgreSQL may choose, it plans a claim anew each time and for longer than the claim takes.
const PLANS: [(&str, &str); 3] = [("enable_seqscan", "off"), ("jit", "off"), ("plan_cache_mode", "force_generic_plan")];

/// How long a kept connection works with the plans that it has. A plan that was made while a table was empty walks an index
/// that does not fit (they all cost the same), and is kept until autovacuum has looked at the table for the first time: in
/// the first minute of a database, and the slower the more rows there are (docs/performance.md).
const REPLAN_AFTER: Duration = Duration::from_secs(2);

/// For how long a client of ours has its PostgreSQL session: pgbouncer's `pool_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolMode {
    /// For as long as its connection: nothing stands in between, or a pooler in session mode.
    #[default]
    Session,
    /// For one transaction, and the next one may come to another. docs/scale.md says what the pooler must be told.
    Transaction,
}

/// How a process holds its connections.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// Where PostgreSQL is.
    pub database_url: String,
    /// What `pg_stat_activity` shows.
    pub application_name: &'static str,
    /// What its sessions may touch. In [`PoolMode::Transaction`] it is the login's part to be a member of that role alone.
    pub role: Role,
    /// Whether a session outlives a transaction.
    pub pool_mode: PoolMode,
    /// Upper bound of open connections.
    pub max_connections: u32,
    /// How long a caller waits for a connection before it is told that the database is away.
    pub acquire_timeout: Duration,
}

/// A pool that connects when first used, so that a process starts while the database is away and finds it when it returns.
///
/// # Errors
/// When `database_url` cannot be read.
pub fn pool(settings: &PoolSettings) -> Result<PgPool, sqlx::Error> {
    let options = settings.database_url.parse::<PgConnectOptions>()?.application_name(settings.application_name);
    let options = match settings.pool_mode {
        PoolMode::Session => {
            options.options(LIMITS).options(PLANS).options(settings.role.name().map(|role| ("role", role)))
        }
        // What one transaction has prepared is not there in the next. The pooler refuses to be told settings of the
        // session, so the limits are among its own.
        PoolMode::Transaction => options.statement_cache_capacity(0).extra_float_digits(None),
    };
    Ok(PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .acquire_timeout(settings.acquire_timeout)
        // sqlx would ask, too, but would wait for the answer for ever (when a connection comes back) or for as long as
        // the caller may wait (when one is taken), and so would not come to the next one.
        .test_before_acquire(false)
        .before_acquire(|conn, _| Box::pin(is_alive(conn)))
        .after_release(|conn, _| Box::pin(is_alive(conn)))
        .connect_lazy_with(options))
}

/// Whether the connection may be used again; one that may not is closed, and gives its place to a new one.
async fn is_alive(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    Ok(matches!(tokio::time::timeout(ALIVE_WITHIN, conn.ping()).await, Ok(Ok(()))))
}

/// A connection that its holder keeps from one piece of work to the next, so that a busy one is not fetched from the pool
/// and tested each time.
pub struct Kept {
    pool: PgPool,
    held: Option<(PoolConnection<Postgres>, Instant)>,
    /// None: how old the plans are is not known.
    planned_at: Option<Instant>,
}

impl Kept {
    /// None yet.
    pub const fn of(pool: PgPool) -> Self {
        Self { pool, held: None, planned_at: None }
    }

    /// The connection, alive a moment ago.
    ///
    /// # Errors
    /// The database's.
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

    /// Gives the connection back, because it failed or there is nothing to do.
    pub fn give_back(&mut self) {
        self.held = None;
    }

    /// Waits for `work`; the connection goes back to the pool when that takes longer than a moment.
    pub async fn await_work<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(work) = tokio::time::timeout(FRESH, &mut work).await {
            return work;
        }
        self.give_back();
        work.await
    }
}

/// Gives work with the database up when it takes too long. Where the network has forgotten a connection without a word,
/// sqlx waits for its answer for ever; the server's own time-outs cannot be heard then. Whether the work was committed
/// is unknown, as after any lost connection.
///
/// # Errors
/// The work's, or that the database is away.
pub async fn within<T, E: From<sqlx::Error>>(
    bound: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let too_late =
        |_| sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the database did not answer"));
    tokio::time::timeout(bound, work).await.map_err(too_late)?
}

/// Whether the error says that the database is away (or full, or shutting down), and not that the statement was wrong.
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // 08 connection, 53 resources (disk full, too many connections), 57P0x shutdown, 58 system error,
        // 25006 read only (a failover in progress), 25P03 ended because it stood still in a transaction,
        // 40 rollback to be repeated, 55P03 lock not available
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            ["08", "53", "57", "58", "40"].iter().any(|class| code.starts_with(class))
                || matches!(&*code, "25006" | "25P03" | "55P03")
        }),
        _ => false,
    }
}

/// Whether the database answers.
///
/// # Errors
/// The database's.
pub async fn ping(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("select 1 as one").fetch_one(conn).await?;
    Ok(())
}
