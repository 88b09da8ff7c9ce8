//! The two services that every process talks to, opened the same way everywhere.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use regua_broker::{Broker, BrokerSettings, QueueType};
use regua_store::{PoolMode, PoolSettings, Role};
use sqlx::PgPool;

use crate::Probe;
use crate::settings::{BrokerArguments, DatabaseArguments};

/// How long a caller waits for a connection before it is told that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// Doorbells that a consumer holds unacknowledged.
const PREFETCH: u16 = 64;

/// PostgreSQL and the broker.
#[derive(Clone)]
pub struct Services {
    /// PostgreSQL.
    pub pool: PgPool,
    /// RabbitMQ, or the embedded broker.
    pub broker: Arc<dyn Broker>,
}

impl Services {
    /// Opens both without waiting for either: a process starts while they are away, and finds them when they return.
    ///
    /// # Errors
    /// When an address cannot be read.
    pub fn open(
        process: &'static str,
        role: Role,
        database: &DatabaseArguments,
        broker: &BrokerArguments,
    ) -> anyhow::Result<Self> {
        let pool = open_pool(process, role, "DATABASE_URL", &database.database_url, database)?;
        let amqp_url = broker.amqp_url.as_deref().filter(|url| !url.is_empty());
        ensure!(
            amqp_url.is_some() || database.pool_mode() == PoolMode::Session,
            "DATABASE_POOL_MODE=transaction needs RabbitMQ: the embedded broker listens to PostgreSQL (LISTEN), which a \
             pooler in transaction mode does not pass on; set AMQP_URL, or connect without the pooler"
        );
        let settings = BrokerSettings {
            amqp_urls: amqp_url.map(str::parse).transpose().context("AMQP_URL")?,
            namespace: broker.amqp_namespace.clone(),
            queue_type: if broker.amqp_queue_type == "quorum" { QueueType::Quorum } else { QueueType::Classic },
            prefetch: PREFETCH,
            connection_name: process.to_owned(),
        };
        let broker = regua_broker::connect(&settings, pool.clone());
        Ok(Self { pool, broker })
    }

    /// What `/readyz` asks: both must answer.
    pub fn probes(&self) -> Vec<(&'static str, Probe)> {
        let pool = self.pool.clone();
        let database: Probe = Arc::new(move || {
            let pool = pool.clone();
            let asking = async move {
                let mut transaction = pool.begin().await?;
                regua_store::ping(&mut transaction).await?;
                transaction.commit().await
            };
            Box::pin(async move { Ok(regua_store::within(ACQUIRE_TIMEOUT * 2, asking).await?) })
        });
        let broker = Arc::clone(&self.broker);
        let doorbells: Probe = Arc::new(move || {
            let broker = Arc::clone(&broker);
            Box::pin(async move { broker.ping().await })
        });
        vec![("database", database), ("broker", doorbells)]
    }
}

/// A pool of this process; `variable` is what is named when its address cannot be read.
///
/// # Errors
/// When the address cannot be read.
pub fn open_pool(
    process: &'static str,
    role: Role,
    variable: &str,
    url: &str,
    database: &DatabaseArguments,
) -> anyhow::Result<PgPool> {
    let settings = PoolSettings {
        database_url: url.to_owned(),
        application_name: process,
        role,
        pool_mode: database.pool_mode(),
        max_connections: database.database_max_connections,
        acquire_timeout: ACQUIRE_TIMEOUT,
    };
    // The cause may quote the address, and with it the password.
    regua_store::pool(&settings)
        .map_err(|_| anyhow::anyhow!("{variable} cannot be read: write postgres://user:password@host:port/database"))
}
