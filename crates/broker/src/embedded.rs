//! The broker for one machine: the outbox table itself is consumed. LISTEN wakes the consumer, and a poll finds what
//! LISTEN misses. There is nothing to publish and nothing to connect.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use regua_store::outbox::{self, Held};
use regua_store::{PATIENCE, dead_letters, within};
use sqlx::postgres::PgListener;
use sqlx::{Connection, PgPool};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::delivery::Receipt;
use crate::{Broker, Delivery, Doorbell, DoorbellKind, Relayed, Unreadable};

/// How long a consumer may hold a row before others hear it too. Doorbells are acknowledged within milliseconds.
const HOLD: Duration = Duration::from_secs(30);
/// How often the table is looked at even if nobody woke us.
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
        within(PATIENCE, async { outbox::notify(&mut *self.pool.acquire().await?).await }).await?;
        Ok(Relayed::default())
    }

    async fn consume(&self, shutdown: CancellationToken) -> mpsc::Receiver<Delivery> {
        let (deliveries, receiver) = mpsc::channel(self.prefetch.into());
        let consumer = Consumer {
            pool: self.pool.clone(),
            routing_keys: DoorbellKind::ALL.iter().map(|kind| kind.outbox_key().to_owned()).collect(),
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

/// A row of the outbox that somebody holds, and the slot of the prefetch that it takes.
pub(crate) struct Row {
    pool: PgPool,
    held: Held,
    _slot: OwnedSemaphorePermit,
}

impl Row {
    pub(crate) async fn ack(self) -> anyhow::Result<()> {
        let noting = async { outbox::done(&mut *self.pool.acquire().await?, &[self.held]).await };
        within(PATIENCE, noting).await.context("the doorbell is not acknowledged")
    }

    /// Where this fails, the hold runs out.
    pub(crate) async fn release(self) {
        if let Err(error) = self.give_back().await {
            tracing::debug!(%error, "a doorbell could not be given back and waits until its hold ends");
        }
    }

    async fn give_back(self) -> Result<(), sqlx::Error> {
        within(PATIENCE, async { outbox::give_back(&mut *self.pool.acquire().await?, &[self.held]).await }).await
    }
}

/// The task behind one call of `consume`. A slot is free for each delivery that it may still hand out, and the channel is
/// as long as there are slots, so handing out never waits.
struct Consumer {
    pool: PgPool,
    routing_keys: Vec<String>,
    slots: Arc<Semaphore>,
    deliveries: mpsc::Sender<Delivery>,
    shutdown: CancellationToken,
}

impl Consumer {
    async fn run(self) {
        let news = Notify::new();
        tokio::select! {
            () = self.hand_out_until_stopped(&news) => {}
            () = listen_for_ever(&self.pool, &news) => {}
        }
    }

    /// A `take` is dropped half way only when the database is away: rows that it hides stay hidden until the hold ends.
    async fn hand_out_until_stopped(&self, news: &Notify) {
        let mut is_away = false;
        while !self.is_stopped() {
            match self.hand_out().await {
                Ok(()) if is_away => {
                    is_away = false;
                    tracing::info!("the outbox is read again");
                }
                Ok(()) => {}
                Err(error) if is_away => tracing::debug!(%error, "the outbox cannot be read yet"),
                Err(error) => {
                    is_away = true;
                    tracing::warn!(%error, "the outbox cannot be read; trying again every second");
                }
            }
            tokio::select! {
                () = self.stopped() => {}
                () = news.notified() => {}
                () = sleep(POLL) => {}
            }
        }
    }

    /// Hands out what waits, highest priority first, as slots become free. Returns when nothing waits.
    async fn hand_out(&self) -> Result<(), sqlx::Error> {
        while let Some(mut slots) = self.free_slots().await {
            let free = i64::try_from(slots.num_permits()).unwrap_or(1);
            let taking = async {
                let mut conn = self.pool.acquire().await?;
                let taken = outbox::take(&mut conn, &self.routing_keys, free, HOLD).await?;
                if self.is_stopped() {
                    outbox::give_back(&mut conn, &taken).await?;
                    return Ok(Vec::new());
                }
                Ok::<_, sqlx::Error>(taken)
            };
            let taken = within(PATIENCE, taking).await?;
            if taken.is_empty() {
                break;
            }
            for held in taken {
                match (Doorbell::from_json(&held.body), slots.split(1)) {
                    (Ok(doorbell), Some(slot)) => self.hand(doorbell, held, slot).await,
                    (Ok(_), None) => {} // more rows than asked for: the hold runs out
                    (Err(reason), _) => within(PATIENCE, self.bury(&held, &reason)).await?,
                }
            }
        }
        Ok(())
    }

    /// All that are free, and at least one; none when the consumer was stopped before one became free.
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

    async fn hand(&self, doorbell: Doorbell, held: Held, slot: OwnedSemaphorePermit) {
        let row = Row { pool: self.pool.clone(), held, _slot: slot };
        let delivery = Delivery::new(doorbell, Receipt::Embedded(row), self.shutdown.clone());
        // If the receiver is gone, the delivery is dropped here, which gives the row back.
        let _ = self.deliveries.send(delivery).await;
    }

    async fn bury(&self, held: &Held, reason: &Unreadable) -> Result<(), sqlx::Error> {
        tracing::warn!(tenant_id = %held.tenant_id, routing_key = held.routing_key, %reason, "a doorbell is unreadable");
        let mut transaction = self.pool.begin().await?;
        let Held { tenant_id, outbox_id, routing_key, body, .. } = held;
        dead_letters::bury(&mut transaction, *tenant_id, *outbox_id, routing_key, body, &reason.to_string()).await?;
        outbox::done(&mut transaction, std::slice::from_ref(held)).await?;
        transaction.commit().await
    }
}

/// Wakes whoever waits for `news`. Failures are not logged: they are the reader's too, and it says so.
async fn listen_for_ever(pool: &PgPool, news: &Notify) {
    loop {
        if let Err(error) = listen(pool, news).await {
            tracing::debug!(%error, "LISTEN ended");
        }
        sleep(POLL).await;
    }
}

async fn listen(pool: &PgPool, news: &Notify) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("regua_outbox").await?;
    loop {
        listener.recv().await?;
        news.notify_one();
    }
}
