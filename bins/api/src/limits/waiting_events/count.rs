//! The count of a tenant's waiting events, and the deletion of statuses.

use std::collections::HashMap;

use regua_domain::{InstanceId, TenantId};
use regua_store::webhook_events::{self, OldestStatuses};
use sqlx::PgConnection;

use crate::limits::database::{Database, TransactionError};
use crate::limits::event_amount::EventAmount;

/// A count, and what this process has stored since.
pub(super) struct Count {
    /// Of this process since the count.
    pub(super) added: EventAmount,
    numbers: HashMap<InstanceId, EventAmount>,
    total: EventAmount,
}

impl Count {
    pub(super) fn empty() -> Self {
        let (added, numbers, total) = (EventAmount::default(), HashMap::new(), EventAmount::default());
        Self { added, numbers, total }
    }

    async fn read(conn: &mut PgConnection, tenant: TenantId) -> Result<Self, sqlx::Error> {
        let mut count = Self::empty();
        for waiting in webhook_events::count_waiting(conn, tenant).await? {
            let unsigned = |number| u64::try_from(number).unwrap_or_default();
            let amount = EventAmount { events: unsigned(waiting.events), bytes: unsigned(waiting.bytes) };
            count.numbers.insert(waiting.instance_id, amount);
            count.total = count.total.plus(amount);
        }
        Ok(count)
    }

    /// Adds an event; false when a budget does not allow it.
    pub(super) fn add(
        &mut self,
        instance: InstanceId,
        added: EventAmount,
        of_number: EventAmount,
        of_tenant: EventAmount,
    ) -> bool {
        let number = self.numbers.entry(instance).or_default();
        let (with_number, with_total) = (number.plus(added), self.total.plus(added));
        if with_number.exceeds(of_number) || with_total.exceeds(of_tenant) {
            return false;
        }
        (*number, self.total, self.added) = (with_number, with_total, self.added.plus(added));
        true
    }

    fn full_numbers(&self, of_number: EventAmount) -> Vec<(InstanceId, EventAmount)> {
        let full = self.numbers.iter().filter_map(|(id, amount)| Some((*id, of_number.excess_of(*amount)?)));
        full.collect()
    }
}

/// Counts a tenant's waiting events. Where a budget is used up, deletes the oldest statuses of the number, or of the
/// tenant; returns how many too.
pub(super) async fn count_and_delete(
    database: &Database,
    tenant: TenantId,
    of_number: EventAmount,
    of_tenant: EventAmount,
) -> Result<(Count, u64), TransactionError> {
    let mut transaction = database.begin_intake(tenant).await?;
    let conn = &mut *transaction;
    let (mut count, mut dropped) = (Count::read(conn, tenant).await?, 0);
    if !count.full_numbers(of_number).is_empty() || of_tenant.excess_of(count.total).is_some() {
        // Another process may delete now.
        webhook_events::lock_waiting(conn, tenant).await?;
        count = Count::read(conn, tenant).await?;
        for (instance, excess) in count.full_numbers(of_number) {
            dropped += delete(conn, tenant, Some(instance), excess).await?;
        }
        if dropped > 0 {
            count = Count::read(conn, tenant).await?;
        }
        if let Some(excess) = of_tenant.excess_of(count.total) {
            dropped += delete(conn, tenant, None, excess).await?;
            count = Count::read(conn, tenant).await?;
        }
    }
    transaction.commit().await?;
    Ok((count, dropped))
}

async fn delete(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: Option<InstanceId>,
    excess: EventAmount,
) -> Result<u64, sqlx::Error> {
    let signed = |number| i64::try_from(number).unwrap_or(i64::MAX);
    let excess = OldestStatuses { events: signed(excess.events), bytes: signed(excess.bytes) };
    webhook_events::delete_oldest_statuses(conn, tenant, instance, excess).await
}
