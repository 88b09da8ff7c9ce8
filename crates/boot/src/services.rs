//! PostgreSQL and the broker, which every process opens in the same way.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use regua_broker::{Broker, BrokerSettings, QueueType};
use regua_store::{PoolMode, PoolSettings, Role};
use sqlx::PgPool;

use crate::Probe;
use crate::settings::{BrokerArguments, DatabaseArguments};

/// Longest wait for a connection; after it the database counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// Most unacknowledged doorbells of a consumer.
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
    /// Opens both without a connection: a process starts while they are away, and finds them later. Fails when an
    /// address is invalid.
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

    /// The probes of `/readyz`: both must answer.
    pub fn probes(&self) -> Vec<(&'static str, Probe)> {
        let pool = self.pool.clone();
        let database: Probe = Arc::new(move || {
            let pool = pool.clone();
            let pinging = async move {
                let mut transaction = pool.begin().await?;
                regua_store::ping(&mut transaction).await?;
                transaction.commit().await
            };
            Box::pin(async move { Ok(regua_store::within(ACQUIRE_TIMEOUT * 2, pinging).await?) })
        });
        let broker = Arc::clone(&self.broker);
        let doorbells: Probe = Arc::new(move || {
            let broker = Arc::clone(&broker);
            Box::pin(async move { broker.ping().await })
        });
        vec![("database", database), ("broker", doorbells)]
    }
}

/// A pool of this process. `variable` is the environment variable that the error of an invalid address names.
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
    // The cause may contain the address, and with it the password.
    regua_store::pool(&settings)
        .map_err(|_| anyhow::anyhow!("{variable} cannot be read: write postgres://user:password@host:port/database"))
}
