//! The broker for one machine: consumers read the table `doorbells`, and the relay only notifies them. LISTEN wakes a
//! consumer, and a poll finds the doorbells that LISTEN misses.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use regua_store::doorbells::{self, HeldDoorbell};
use regua_store::{TRANSACTION_TIMEOUT, dead_letters, transact, within};
use sqlx::postgres::PgListener;
use sqlx::{Connection, PgPool};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::delivery::Receipt;
use crate::topic::Topic;
use crate::{Broker, Delivery, Doorbell, Program, Relayed, Unreadable};

/// Doorbells are acknowledged within milliseconds.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time between two reads of the table.
const POLL: Duration = Duration::from_secs(1);

pub(crate) struct EmbeddedBroker {
    pool: PgPool,
    prefetch: u16,
}

impl EmbeddedBroker {
    pub(crate) fn new(pool: PgPool, prefetch: u16) -> Self {
        Self { pool, prefetch: prefetch.max(1) }
    }
}

#[async_trait]
impl Broker for EmbeddedBroker {
    async fn relay(&self) -> anyhow::Result<Relayed> {
        within(TRANSACTION_TIMEOUT, async { doorbells::notify(&mut *self.pool.acquire().await?).await }).await?;
        Ok(Relayed::default())
    }

    async fn consume(&self, program: Program, shutdown: CancellationToken) -> mpsc::Receiver<Delivery> {
        let (deliveries, receiver) = mpsc::channel(self.prefetch.into());
        let consumer = Consumer {
            pool: self.pool.clone(),
            routing_keys: Topic::stored_routing_keys(program.topics()),
            slots: Arc::new(Semaphore::new(self.prefetch.into())),
            deliveries,
            shutdown,
        };
        tokio::spawn(consumer.run());
        receiver
    }

    async fn ping(&self) -> anyhow::Result<()> {
        Ok(self.pool.acquire().await?.ping().await?)
    }

    fn name(&self) -> &'static str {
        "embedded"
    }
}

/// A row that is hidden from other consumers, and its slot of the prefetch.
struct RowReceipt {
    pool: PgPool,
    held: HeldDoorbell,
    _slot: OwnedSemaphorePermit,
}

#[async_trait]
impl Receipt for RowReceipt {
    async fn ack(self: Box<Self>) -> anyhow::Result<()> {
        let deleting = async { doorbells::acknowledge(&mut *self.pool.acquire().await?, &[self.held]).await };
        within(TRANSACTION_TIMEOUT, deleting).await.context("the doorbell is not acknowledged")
    }

    async fn requeue(self: Box<Self>) {
        let requeueing = async { doorbells::give_back(&mut *self.pool.acquire().await?, &[self.held]).await };
        if let Err(error) = within(TRANSACTION_TIMEOUT, requeueing).await {
            tracing::debug!(%error, "a doorbell is requeued when its visibility timeout ends");
        }
    }
}

/// The task behind one call of `consume`. The channel has room for as many deliveries as there are slots, so sending a
/// delivery never waits.
struct Consumer {
    pool: PgPool,
    routing_keys: Vec<String>,
    slots: Arc<Semaphore>,
    deliveries: mpsc::Sender<Delivery>,
    shutdown: CancellationToken,
}

impl Consumer {
    async fn run(self) {
        let wake = Notify::new();
        tokio::select! {
            () = self.deliver_until_stopped(&wake) => {}
            () = listen_forever(&self.pool, &wake) => {}
        }
    }

    /// A read is interrupted only when the database is away; the rows that it hides reappear after their visibility
    /// timeout.
    async fn deliver_until_stopped(&self, wake: &Notify) {
        let mut is_away = false;
        while !self.is_stopped() {
            match self.deliver_waiting().await {
                Ok(()) if is_away => {
                    is_away = false;
                    tracing::info!("doorbells are read again");
                }
                Ok(()) => {}
                Err(error) if is_away => tracing::debug!(%error, "doorbells still cannot be read"),
                Err(error) => {
                    is_away = true;
                    tracing::warn!(%error, "doorbells cannot be read; retrying every second");
                }
            }
            tokio::select! {
                () = self.stopped() => {}
                () = wake.notified() => {}
                () = sleep(POLL) => {}
            }
        }
    }

    /// Delivers waiting doorbells, the most urgent first, as slots become free. Returns when none waits.
    async fn deliver_waiting(&self) -> Result<(), sqlx::Error> {
        while let Some(mut slots) = self.free_slots().await {
            let free = i64::try_from(slots.num_permits()).unwrap_or(1);
            let reading = async {
                let mut conn = self.pool.acquire().await?;
                let rows = doorbells::take(&mut conn, &self.routing_keys, free, VISIBILITY_TIMEOUT).await?;
                if self.is_stopped() {
                    doorbells::give_back(&mut conn, &rows).await?;
                    return Ok(Vec::new());
                }
                Ok::<_, sqlx::Error>(rows)
            };
            let rows = within(TRANSACTION_TIMEOUT, reading).await?;
            if rows.is_empty() {
                break;
            }
            for held in rows {
                match (Doorbell::from_json(&held.body), slots.split(1)) {
                    (Ok(doorbell), Some(slot)) => self.deliver(doorbell, held, slot).await,
                    (Ok(_), None) => {} // more rows than the limit: they reappear after their visibility timeout
                    (Err(reason), _) => self.insert_dead_letter(&held, &reason).await?,
                }
            }
        }
        Ok(())
    }

    /// All free slots, and at least one; `None` when the consumer stops first.
    async fn free_slots(&self) -> Option<OwnedSemaphorePermit> {
        let mut slots = tokio::select! {
            () = self.stopped() => return None,
            slot = self.slots.clone().acquire_owned() => slot.ok()?,
        };
        while let Ok(slot) = self.slots.clone().try_acquire_owned() {
            slots.merge(slot);
        }
        Some(slots)
    }

    fn is_stopped(&self) -> bool {
        self.shutdown.is_cancelled() || self.deliveries.is_closed()
    }

    async fn stopped(&self) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = self.deliveries.closed() => {}
        }
    }

    async fn deliver(&self, doorbell: Doorbell, held: HeldDoorbell, slot: OwnedSemaphorePermit) {
        let receipt = RowReceipt { pool: self.pool.clone(), held, _slot: slot };
        let delivery = Delivery::new(doorbell, Box::new(receipt), self.shutdown.clone());
        // Without a receiver the delivery is dropped, which requeues the doorbell.
        let _ = self.deliveries.send(delivery).await;
    }

    async fn insert_dead_letter(&self, held: &HeldDoorbell, reason: &Unreadable) -> Result<(), sqlx::Error> {
        tracing::warn!(tenant_id = %held.tenant_id, routing_key = held.routing_key, %reason,
            "an unreadable doorbell goes to the dead letters");
        let HeldDoorbell { tenant_id, doorbell_id, routing_key, body, .. } = held;
        transact(&self.pool, async |conn| {
            dead_letters::insert(conn, *tenant_id, *doorbell_id, routing_key, body, &reason.to_string()).await?;
            doorbells::acknowledge(conn, std::slice::from_ref(held)).await
        })
        .await
    }
}

/// Logs a failure for debugging only: the consumer's next read fails too, and warns.
async fn listen_forever(pool: &PgPool, wake: &Notify) {
    loop {
        if let Err(error) = listen(pool, wake).await {
            tracing::debug!(%error, "LISTEN ended");
        }
        sleep(POLL).await;
    }
}

async fn listen(pool: &PgPool, wake: &Notify) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("regua_doorbells").await?;
    loop {
        listener.recv().await?;
        wake.notify_one();
    }
}
