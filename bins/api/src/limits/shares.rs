//! What is there once for a whole process, and of which no tenant may have more than its part: places for requests, memory
//! for bodies, cores for large batches. Whoever must wait for its own tenant's part stands in nobody else's way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use regua_domain::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Tenants that are remembered before those are forgotten that hold nothing.
const MANY: usize = 1024;

/// Something that is shared out among tenants.
pub(super) struct Shares {
    total: Arc<Semaphore>,
    each: usize,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

/// A part that is held; it is given back when dropped.
#[derive(Debug)]
pub(crate) struct Part {
    own: OwnedSemaphorePermit,
    of_total: OwnedSemaphorePermit,
}

/// Whose part is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UsedUp {
    /// The tenant's own.
    Tenants,
    /// All there is.
    Everybodys,
}

impl Shares {
    /// So much in all, and of it so much for each tenant.
    pub(super) fn new(total: usize, each: usize) -> Self {
        let (total, each) = (total.clamp(1, Semaphore::MAX_PERMITS), each.clamp(1, total.max(1)));
        Self { total: Arc::new(Semaphore::new(total)), each, tenants: Mutex::default() }
    }

    /// Takes so much, at most a tenant's whole part, and waits for it no longer than `patience`.
    pub(super) async fn take(&self, tenant: TenantId, amount: usize, patience: Duration) -> Result<Part, UsedUp> {
        let amount = u32::try_from(amount.clamp(1, self.each)).unwrap_or(u32::MAX);
        let (own, total) = (self.of(tenant), Arc::clone(&self.total));
        let wait = async |shared: Arc<Semaphore>| match tokio::time::timeout(
            patience,
            shared.acquire_many_owned(amount),
        )
        .await
        {
            Ok(Ok(permit)) => Some(permit),
            _ => None,
        };
        let own = wait(own).await.ok_or(UsedUp::Tenants)?;
        let of_total = wait(total).await.ok_or(UsedUp::Everybodys)?;
        Ok(Part { own, of_total })
    }

    fn of(&self, tenant: TenantId) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() >= MANY {
            // Whoever holds a part, or waits for one, has a copy.
            tenants.retain(|_, own| Arc::strong_count(own) > 1);
        }
        Arc::clone(tenants.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(self.each))))
    }
}

impl Part {
    /// Gives back what is above this amount.
    pub(super) fn shrink(&mut self, amount: usize) {
        for permit in [&mut self.own, &mut self.of_total] {
            drop(permit.split(permit.num_permits().saturating_sub(amount.max(1))));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    fn tenant(number: u128) -> TenantId {
        TenantId(Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn a_tenant_has_its_part_and_no_more() {
        let shares = Shares::new(10, 4);
        let first = shares.take(tenant(1), 3, AT_ONCE).await.unwrap();
        assert_eq!(shares.take(tenant(1), 2, AT_ONCE).await.unwrap_err(), UsedUp::Tenants);
        let _second = shares.take(tenant(2), 4, AT_ONCE).await.unwrap();
        assert_eq!(shares.take(tenant(3), 4, AT_ONCE).await.unwrap_err(), UsedUp::Everybodys);
        drop(first);
        let _third = shares.take(tenant(3), 4, AT_ONCE).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_larger_than_a_part_takes_the_whole_of_it() {
        let shares = Shares::new(10, 4);
        let mut whole = shares.take(tenant(1), 100, AT_ONCE).await.unwrap();
        assert!(shares.take(tenant(1), 1, AT_ONCE).await.is_err());
        whole.shrink(3);
        assert!(shares.take(tenant(1), 1, AT_ONCE).await.is_ok());
    }

    #[tokio::test]
    async fn whoever_waits_for_its_own_part_holds_nothing_of_the_others() {
        let shares = Arc::new(Shares::new(2, 1));
        let held = shares.take(tenant(1), 1, AT_ONCE).await.unwrap();
        let waiting = Arc::clone(&shares);
        let waiting = tokio::spawn(async move { waiting.take(tenant(1), 1, Duration::from_secs(60)).await.is_ok() });
        tokio::task::yield_now().await;
        let other = shares.take(tenant(2), 1, AT_ONCE).await.unwrap();
        drop((held, other));
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn tenants_that_hold_nothing_are_forgotten() {
        let shares = Shares::new(10_000, 1);
        let _held = shares.take(tenant(0), 1, AT_ONCE).await.unwrap();
        for number in 1..5000 {
            shares.take(tenant(number), 1, AT_ONCE).await.unwrap();
        }
        assert!(shares.tenants.lock().unwrap().len() <= MANY);
        assert!(shares.take(tenant(0), 1, AT_ONCE).await.is_err());
    }
}
