//! Budgets of webhook events that wait for their reader, for each number and each tenant. A process counts a tenant's
//! events in the database now and then, and adds those that it stores in between, so that storing an event costs no
//! count. Where no room is left, the oldest statuses are deleted; an event that may prove sending is never deleted.

mod count;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use regua_domain::{InstanceId, TenantId};

use self::count::Count;
use super::database::{Database, TransactionError};
use super::event_amount::EventAmount;
use super::refused::Refusals;
use super::settings::LimitSettings;
use crate::metrics::ApiMetrics;

/// A number without room is counted again after this time: the reader has deleted events meanwhile.
const RECOUNT_PAUSE: Duration = Duration::from_secs(1);
/// Number of tenants from which those without a request under way are removed. They are counted again.
const MANY: usize = 10_000;

pub(crate) struct WaitingEvents {
    of_number: EventAmount,
    of_tenant: EventAmount,
    tenants: Mutex<HashMap<TenantId, Arc<TenantEvents>>>,
    metrics: ApiMetrics,
    refusals: Refusals,
}

#[derive(Default)]
struct TenantEvents {
    /// None until the first count.
    count: Mutex<Option<Count>>,
    /// When a number was refused after a count, and the bytes of that event: a smaller one may have room.
    refused: Mutex<HashMap<InstanceId, (Instant, usize)>>,
    /// One request of a tenant counts at a time.
    counting: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reservation {
    Made,
    /// Made, and this process has stored so many events that it must count again.
    MadeBeforeCount,
    /// The budget is used up, as far as this process knows, or nothing was counted yet.
    NoRoom,
}

impl WaitingEvents {
    pub(super) fn new(settings: &LimitSettings, metrics: ApiMetrics, refusals: Refusals) -> Self {
        let (of_number, of_tenant) = (settings.events_of_number, settings.events_of_tenant);
        Self { of_number, of_tenant, tenants: Mutex::default(), metrics, refusals }
    }

    /// Reserves room for an event of so many bytes, which the caller stores now. It is refused when the
    /// number or the tenant has no room and no status to delete.
    pub(crate) async fn reserve(
        &self,
        database: &Database,
        tenant: TenantId,
        instance: InstanceId,
        bytes: usize,
    ) -> Result<(), TransactionError> {
        let added = EventAmount { events: 1, bytes: u64::try_from(bytes).unwrap_or(u64::MAX) };
        let events = self.of(tenant);
        match self.add(&events, instance, added) {
            Reservation::Made => return Ok(()),
            Reservation::MadeBeforeCount => {
                if let Ok(_turn) = events.counting.try_lock() {
                    self.count(database, tenant, &events).await?;
                    // The count does not have this event, which is not stored yet.
                    self.add(&events, instance, added);
                }
                return Ok(());
            }
            Reservation::NoRoom => {}
        }
        let _turn = events.counting.lock().await;
        // Another request may have counted while this one waited.
        let mut reservation = self.add(&events, instance, added);
        if reservation == Reservation::NoRoom && !events.is_just_refused(instance, bytes) {
            self.count(database, tenant, &events).await?;
            reservation = self.add(&events, instance, added);
            events.record(instance, (reservation == Reservation::NoRoom).then_some(bytes));
        }
        match reservation {
            Reservation::NoRoom => Err(self.refusals.too_busy("waiting_events").into()),
            Reservation::Made | Reservation::MadeBeforeCount => Ok(()),
        }
    }

    fn of(&self, tenant: TenantId) -> Arc<TenantEvents> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() >= MANY && !tenants.contains_key(&tenant) {
            tenants.retain(|_, events| Arc::strong_count(events) > 1);
        }
        Arc::clone(tenants.entry(tenant).or_default())
    }

    fn add(&self, events: &TenantEvents, instance: InstanceId, added: EventAmount) -> Reservation {
        let mut count = events.count.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = count.as_mut() else { return Reservation::NoRoom };
        if !count.add(instance, added, self.of_number, self.of_tenant) {
            return Reservation::NoRoom;
        }
        if count.added.exceeds(self.of_number.step()) { Reservation::MadeBeforeCount } else { Reservation::Made }
    }

    /// Counts, and deletes the oldest statuses where a budget is used up.
    async fn count(
        &self,
        database: &Database,
        tenant: TenantId,
        events: &TenantEvents,
    ) -> Result<(), TransactionError> {
        let (count, dropped) = count::count_and_delete(database, tenant, self.of_number, self.of_tenant).await?;
        self.metrics.webhook_events_dropped.inc_by(dropped);
        if dropped > 0 {
            tracing::warn!(count = dropped, "too many webhook events wait: the oldest statuses were deleted");
        }
        *events.count.lock().unwrap_or_else(PoisonError::into_inner) = Some(count);
        Ok(())
    }
}

impl TenantEvents {
    fn is_just_refused(&self, instance: InstanceId, bytes: usize) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get(&instance).is_some_and(|(at, of)| at.elapsed() < RECOUNT_PAUSE && bytes >= *of)
    }

    fn record(&self, instance: InstanceId, refused_bytes: Option<usize>) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match refused_bytes {
            Some(bytes) => refused.insert(instance, (Instant::now(), bytes)),
            None => refused.remove(&instance),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn amount(events: u64, bytes: u64) -> EventAmount {
        EventAmount { events, bytes }
    }

    #[test]
    fn events_are_added_up_to_the_budgets_of_number_and_tenant() {
        let (of_number, of_tenant, one) = (amount(2, 100), amount(3, 1000), amount(1, 10));
        let instance = |number| InstanceId(uuid::Uuid::from_u128(number));
        let mut count = Count::empty();
        let mut add = |number, added| count.add(instance(number), added, of_number, of_tenant);
        assert!(add(1, one) && add(1, one) && !add(1, one), "two of a number");
        assert!(!add(2, amount(1, 101)), "too many bytes of a number");
        assert!(add(2, one) && !add(3, one), "three of the tenant");
        assert_eq!(count.added, amount(3, 30));
    }
}
