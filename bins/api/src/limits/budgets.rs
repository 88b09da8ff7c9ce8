//! Budgets of a resource of the process: a total, and a smaller budget for each holder. The holder is a tenant
//! (requests, memory of bodies, large batches) or an address (connections, callers without a valid credential). A holder that waits for its own
//! budget uses nothing of the total.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Number of holders from which those without a permit are removed.
const MANY: usize = 1024;

pub(super) struct Budgets<H> {
    total: Arc<Semaphore>,
    each: usize,
    holders: Mutex<HashMap<H, Arc<Semaphore>>>,
}

/// An amount of a budget; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Permit {
    own: Option<OwnedSemaphorePermit>,
    of_total: OwnedSemaphorePermit,
}

/// The budget that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exhausted {
    Holder,
    Total,
}

impl<H: Eq + Hash> Budgets<H> {
    pub(super) fn new(total: usize, each: usize) -> Self {
        let (total, each) = (total.clamp(1, Semaphore::MAX_PERMITS), each.clamp(1, total.max(1)));
        Self { total: Arc::new(Semaphore::new(total)), each, holders: Mutex::default() }
    }

    /// Takes an amount, or the holder's whole budget if that is smaller. It waits up to `patience` for each of the two
    /// budgets.
    pub(super) async fn take(&self, holder: H, amount: usize, patience: Duration) -> Result<Permit, Exhausted> {
        let amount = u32::try_from(amount.clamp(1, self.each)).unwrap_or(u32::MAX);
        let own = self.budget_of(holder).acquire_many_owned(amount);
        self.with_total(own, amount, patience).await
    }

    /// Takes one of the holder's budget, or of `shared`, which several holders use beyond their own.
    pub(super) async fn take_one(
        &self,
        holder: H,
        shared: &Arc<Semaphore>,
        patience: Duration,
    ) -> Result<Permit, Exhausted> {
        let (own, shared) = (self.budget_of(holder).acquire_owned(), Arc::clone(shared).acquire_owned());
        let either = async {
            tokio::select! {
                biased;
                own = own => own,
                shared = shared => shared,
            }
        };
        self.with_total(either, 1, patience).await
    }

    async fn with_total(
        &self,
        own: impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>>,
        amount: u32,
        patience: Duration,
    ) -> Result<Permit, Exhausted> {
        let own = timeout(patience, own).await.ok().and_then(Result::ok).ok_or(Exhausted::Holder)?;
        let of_total = timeout(patience, Arc::clone(&self.total).acquire_many_owned(amount)).await;
        let of_total = of_total.ok().and_then(Result::ok).ok_or(Exhausted::Total)?;
        Ok(Permit { own: Some(own), of_total })
    }

    /// Takes one without waiting. Without a holder only the total counts.
    pub(super) fn take_now(&self, holder: Option<H>) -> Result<Permit, Exhausted> {
        let own = holder.map(|holder| self.budget_of(holder).try_acquire_owned()).transpose();
        let own = own.map_err(|_| Exhausted::Holder)?;
        let of_total = Arc::clone(&self.total).try_acquire_owned().map_err(|_| Exhausted::Total)?;
        Ok(Permit { own, of_total })
    }

    fn budget_of(&self, holder: H) -> Arc<Semaphore> {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        if holders.len() >= MANY {
            // A permit, and a task that waits for one, have a clone.
            holders.retain(|_, own| Arc::strong_count(own) > 1);
        }
        Arc::clone(holders.entry(holder).or_insert_with(|| Arc::new(Semaphore::new(self.each))))
    }
}

impl Permit {
    #[cfg(test)]
    pub(crate) fn for_test() -> Self {
        Budgets::<u8>::new(1, 1).take_now(None).unwrap()
    }

    /// Gives back all above an amount.
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

    const NO_WAIT: Duration = Duration::ZERO;

    fn tenant(number: u128) -> TenantId {
        TenantId(Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn tenant_takes_its_budget_and_no_more() {
        let budgets = Budgets::new(10, 4);
        let first = budgets.take(tenant(1), 3, NO_WAIT).await.unwrap();
        assert_eq!(budgets.take(tenant(1), 2, NO_WAIT).await.unwrap_err(), Exhausted::Holder);
        let _second = budgets.take(tenant(2), 4, NO_WAIT).await.unwrap();
        assert_eq!(budgets.take(tenant(3), 4, NO_WAIT).await.unwrap_err(), Exhausted::Total);
        drop(first);
        let _third = budgets.take(tenant(3), 4, NO_WAIT).await.unwrap();
    }

    #[tokio::test]
    async fn amount_above_a_budget_takes_the_whole_budget() {
        let budgets = Budgets::new(10, 4);
        let mut whole = budgets.take(tenant(1), 100, NO_WAIT).await.unwrap();
        assert!(budgets.take(tenant(1), 1, NO_WAIT).await.is_err());
        whole.shrink(3);
        assert!(budgets.take(tenant(1), 1, NO_WAIT).await.is_ok());
    }

    #[tokio::test]
    async fn holder_beyond_its_budget_uses_the_shared_one_and_leaves_others_theirs() {
        let (budgets, shared) = (Budgets::new(8, 2), Arc::new(Semaphore::new(2)));
        let take = async |number| budgets.take_one(tenant(number), &shared, NO_WAIT).await;
        let mut greedy = Vec::new();
        for _ in 0..4 {
            greedy.push(take(1).await.unwrap());
        }
        assert_eq!(take(1).await.unwrap_err(), Exhausted::Holder);
        let _other = [take(2).await.unwrap(), take(2).await.unwrap()];
        assert_eq!(take(2).await.unwrap_err(), Exhausted::Holder);
        drop(greedy);
        assert!(take(2).await.is_ok());
    }

    #[test]
    fn amount_without_a_holder_counts_in_the_total_only() {
        let budgets = Budgets::new(3, 1);
        let _own = budgets.take_now(Some(tenant(1))).unwrap();
        assert_eq!(budgets.take_now(Some(tenant(1))).unwrap_err(), Exhausted::Holder);
        let _others = [budgets.take_now(None).unwrap(), budgets.take_now(None).unwrap()];
        assert_eq!(budgets.take_now(Some(tenant(2))).unwrap_err(), Exhausted::Total);
    }

    #[tokio::test]
    async fn tenant_that_waits_for_its_budget_uses_nothing_of_the_total() {
        let budgets = Arc::new(Budgets::new(2, 1));
        let held = budgets.take(tenant(1), 1, NO_WAIT).await.unwrap();
        let waiting = Arc::clone(&budgets);
        let waiting = tokio::spawn(async move { waiting.take(tenant(1), 1, Duration::from_secs(60)).await.is_ok() });
        tokio::task::yield_now().await;
        let other = budgets.take(tenant(2), 1, NO_WAIT).await.unwrap();
        drop((held, other));
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn tenants_without_permits_are_removed() {
        let budgets = Budgets::new(10_000, 1);
        let _held = budgets.take(tenant(0), 1, NO_WAIT).await.unwrap();
        for number in 1..5000 {
            budgets.take(tenant(number), 1, NO_WAIT).await.unwrap();
        }
        assert!(budgets.holders.lock().unwrap().len() <= MANY);
        assert!(budgets.take(tenant(0), 1, NO_WAIT).await.is_err());
    }
}
