//! The database and the namespace of one test. Both are removed when the test ends, also after a panic.

use std::io::{Write, stderr};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Once};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use lapin::options::{ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use regua_broker::{Broker, BrokerSettings, Delivery, Doorbell, DoorbellKind, QueueType, connect, ring_all};
use regua_domain::{QueueId, TenantId};
use regua_store::{dead_letters, doorbells};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions};
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

static SKIPPED: Once = Once::new();

pub(crate) struct World {
    pub(crate) pool: PgPool,
    pub(crate) tenant: TenantId,
    pub(crate) amqp_url: Option<String>,
    pub(crate) namespace: String,
    pub(crate) queue_type: QueueType,
    pub(crate) shutdown: CancellationToken,
}

pub(crate) async fn run_embedded<F: Future<Output = ()>>(test: impl FnOnce(Arc<World>) -> F) {
    World::run(None, QueueType::default(), test).await;
}

pub(crate) async fn run_rabbitmq<F: Future<Output = ()>>(test: impl FnOnce(Arc<World>) -> F) {
    run_with(QueueType::Classic, test).await;
}

pub(crate) async fn run_quorum<F: Future<Output = ()>>(test: impl FnOnce(Arc<World>) -> F) {
    run_with(QueueType::Quorum, test).await;
}

async fn run_with<F: Future<Output = ()>>(queue_type: QueueType, test: impl FnOnce(Arc<World>) -> F) {
    match std::env::var("AMQP_URL") {
        Ok(url) => World::run(Some(url), queue_type, test).await,
        Err(_) => SKIPPED.call_once(|| {
            // Not by a macro, whose output cargo hides for tests that pass.
            let _ = writeln!(stderr(), "RabbitMQ's tests are skipped: AMQP_URL is not set");
        }),
    }
}

impl World {
    async fn run<F: Future<Output = ()>>(
        amqp_url: Option<String>,
        queue_type: QueueType,
        test: impl FnOnce(Arc<Self>) -> F,
    ) {
        let server: PgConnectOptions = std::env::var("DATABASE_URL").expect("DATABASE_URL").parse().unwrap();
        let tenant = TenantId::new(now());
        let name = format!("broker_{}", tenant.0.simple());
        administer(&server, format!("create database {name}")).await;
        let pool = PgPoolOptions::new().max_connections(10).connect_with(server.clone().database(&name)).await.unwrap();
        regua_store::MIGRATOR.run(&pool).await.unwrap();
        let shutdown = CancellationToken::new();
        let (namespace, stop) = (name.clone(), shutdown.clone());
        let world = Arc::new(Self { pool, tenant, amqp_url, namespace, queue_type, shutdown: stop });

        let outcome = AssertUnwindSafe(test(world.clone())).catch_unwind().await;

        shutdown.cancel();
        world.remove_queues().await;
        administer(&server, format!("drop database {name} with (force)")).await;
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    }

    pub(crate) fn settings(&self) -> BrokerSettings {
        BrokerSettings {
            amqp_urls: self.amqp_url.as_deref().map(|url| url.parse().unwrap()),
            namespace: self.namespace.clone(),
            queue_type: self.queue_type,
            prefetch: 10,
            connection_name: "contract".to_owned(),
        }
    }

    pub(crate) fn broker(&self) -> Arc<dyn Broker> {
        connect(&self.settings(), self.pool.clone())
    }

    pub(crate) fn broker_with_prefetch(&self, prefetch: u16) -> Arc<dyn Broker> {
        connect(&BrokerSettings { prefetch, ..self.settings() }, self.pool.clone())
    }

    pub(crate) fn doorbell(&self, kind: DoorbellKind) -> Doorbell {
        Doorbell::Queue { kind, tenant_id: self.tenant, queue_id: QueueId::new(now()) }
    }

    pub(crate) async fn ring(&self, doorbells: &[Doorbell]) {
        let mut transaction = self.pool.begin().await.unwrap();
        ring_all(&mut transaction, doorbells, now()).await.unwrap();
        transaction.commit().await.unwrap();
    }

    pub(crate) async fn waiting(&self) -> i64 {
        doorbells::count(&mut self.pool.acquire().await.unwrap()).await.unwrap()
    }

    pub(crate) async fn count_dead_letters(&self) -> i64 {
        if self.amqp_url.is_none() {
            return dead_letters::count(&mut self.pool.acquire().await.unwrap()).await.unwrap();
        }
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let name = format!("{}.dead", self.namespace);
        let queue = self.channel().await.queue_declare(name.into(), passive, FieldTable::default()).await.unwrap();
        queue.message_count().into()
    }

    pub(crate) async fn channel(&self) -> Channel {
        let url = std::env::var("AMQP_URL").unwrap();
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
        connection.create_channel().await.unwrap()
    }

    pub(crate) async fn remove_queues(&self) {
        if self.amqp_url.is_none() {
            return;
        }
        let channel = self.channel().await;
        let dead = format!("{}.dead", self.namespace);
        let queues = DoorbellKind::ALL.map(|kind| format!("{}.{kind}", self.namespace));
        let webhook_events = format!("{}.webhook_events", self.namespace);
        for queue in queues.into_iter().chain([webhook_events, dead.clone()]) {
            channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
        }
        for exchange in [self.namespace.clone(), dead] {
            channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await.unwrap();
        }
    }
}

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap()
}

pub(crate) async fn receive(deliveries: &mut Receiver<Delivery>) -> Delivery {
    timeout(PATIENCE, deliveries.recv()).await.expect("no doorbell in time").expect("the consumer has ended")
}

pub(crate) async fn receive_and_ack(deliveries: &mut Receiver<Delivery>, expected: Doorbell) {
    let delivery = receive(deliveries).await;
    assert_eq!(delivery.doorbell, expected);
    delivery.ack().await.unwrap();
}

pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let asking = async {
        while !condition().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"));
}

async fn administer(server: &PgConnectOptions, statement: String) {
    let mut conn = server.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut conn).await.unwrap();
}
