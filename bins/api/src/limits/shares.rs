//! What is there once for a whole process, and of which nobody may have more than their part: a tenant of places for requests,
//! memory for bodies and cores for large batches, an address of connections. Whoever must wait for their own part stands in
//! nobody else's way.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Holders that are remembered before those are forgotten that hold nothing.
const MANY: usize = 1024;

/// Something that is shared out among holders: tenants, or addresses.
pub(super) struct Shares<H> {
    total: Arc<Semaphore>,
    each: usize,
    holders: Mutex<HashMap<H, Arc<Semaphore>>>,
}

/// A part that is held; it is given back when dropped.
#[derive(Debug)]
pub(crate) struct Part {
    own: Option<OwnedSemaphorePermit>,
    of_total: OwnedSemaphorePermit,
}

/// Whose part is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UsedUp {
    /// The holder's own.
    Holders,
    /// All there is.
    Everybodys,
}

impl<H: Eq + Hash> Shares<H> {
    /// So much in all, and of it so much for each holder.
    pub(super) fn new(total: usize, each: usize) -> Self {
        let (total, each) = (total.clamp(1, Semaphore::MAX_PERMITS), each.clamp(1, total.max(1)));
        Self { total: Arc::new(Semaphore::new(total)), each, holders: Mutex::default() }
    }

    /// Takes so much, at most a holder's whole part, and waits for it no longer than `patience`.
    pub(super) async fn take(&self, holder: H, amount: usize, patience: Duration) -> Result<Part, UsedUp> {
        let amount = u32::try_from(amount.clamp(1, self.each)).unwrap_or(u32::MAX);
        let (own, total) = (self.of(holder), Arc::clone(&self.total));
        let wait = async |shared: Arc<Semaphore>| match tokio::time::timeout(
            patience,
            shared.acquire_many_owned(amount),
        )
        .await
        {
            Ok(Ok(permit)) => Some(permit),
            _ => None,
        };
        let own = wait(own).await.ok_or(UsedUp::Holders)?;
        let of_total = wait(total).await.ok_or(UsedUp::Everybodys)?;
        Ok(Part { own: Some(own), of_total })
    }

    /// Takes one, or says at once that there is none; without a holder nothing but the total counts.
    pub(super) fn take_now(&self, holder: Option<H>) -> Result<Part, UsedUp> {
        let own = holder.map(|holder| self.of(holder).try_acquire_owned()).transpose().map_err(|_| UsedUp::Holders)?;
        let of_total = Arc::clone(&self.total).try_acquire_owned().map_err(|_| UsedUp::Everybodys)?;
        Ok(Part { own, of_total })
    }

    fn of(&self, holder: H) -> Arc<Semaphore> {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        if holders.len() >= MANY {
            // Whoever holds a part, or waits for one, has a copy.
            holders.retain(|_, own| Arc::strong_count(own) > 1);
        }
        Arc::clone(holders.entry(holder).or_insert_with(|| Arc::new(Semaphore::new(self.each))))
    }
}

impl Part {
    /// Gives back what is above this amount.
    pub(super) fn shrink(&mut self, amount: usize) {
        for permit in self.own.iter_mut().chain([&mut self.of_total]) {
            drop(permit.split(permit.num_permits().saturating_sub(amount.max(1))));
        }
    }
}

#[cfg(test)]
mod tests {
    use regua_domain::TenantId;
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
        assert_eq!(shares.take(tenant(1), 2, AT_ONCE).await.unwrap_err(), UsedUp::Holders);
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

    #[test]
    fn what_has_no_holder_counts_in_the_total_alone() {
        let shares = Shares::new(3, 1);
        let _own = shares.take_now(Some(tenant(1))).unwrap();
        assert_eq!(shares.take_now(Some(tenant(1))).unwrap_err(), UsedUp::Holders);
        let _others = [shares.take_now(None).unwrap(), shares.take_now(None).unwrap()];
        assert_eq!(shares.take_now(Some(tenant(2))).unwrap_err(), UsedUp::Everybodys);
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
        assert!(shares.holders.lock().unwrap().len() <= MANY);
        assert!(shares.take(tenant(0), 1, AT_ONCE).await.is_err());
    }
}
