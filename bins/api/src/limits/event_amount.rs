//! An amount of webhook events, and its comparison with a budget.

/// A process counts again after it has stored this part of a number's budget. So it misses at most this part of what
/// each other process stores.
const STEPS: u64 = 20;
/// An event has fewer bytes.
const MAX_EVENT: u64 = 512 << 10;

/// Events, and their bytes as JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventAmount {
    /// The number of events.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl EventAmount {
    pub(super) const fn plus(self, other: Self) -> Self {
        Self { events: self.events.saturating_add(other.events), bytes: self.bytes.saturating_add(other.bytes) }
    }

    pub(super) const fn exceeds(self, budget: Self) -> bool {
        self.events > budget.events || self.bytes > budget.bytes
    }

    /// A twentieth.
    pub(super) const fn step(self) -> Self {
        Self { events: self.events / STEPS, bytes: self.bytes / STEPS }
    }

    /// What must be deleted of `amount` so that a step of this budget is free again; none while there is room.
    pub(super) fn excess_of(self, amount: Self) -> Option<Self> {
        let step = self.step();
        let is_full = |amount: u64, next: u64, budget: u64| amount.saturating_add(next) > budget;
        let excess = |amount: u64, budget: u64, step: u64| amount.saturating_sub(budget) + step.max(1);
        let events = is_full(amount.events, 1, self.events).then(|| excess(amount.events, self.events, step.events));
        let bytes = is_full(amount.bytes, MAX_EVENT.min(step.bytes), self.bytes)
            .then(|| excess(amount.bytes, self.bytes, step.bytes));
        let excess = Self { events: events.unwrap_or(0), bytes: bytes.unwrap_or(0) };
        (excess != Self::default()).then_some(excess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn amount(events: u64, bytes: u64) -> EventAmount {
        EventAmount { events, bytes }
    }

    #[test]
    fn full_budget_loses_its_excess_and_a_twentieth() {
        let budget = amount(20_000, 64 << 20);
        for (waiting, excess) in [
            (amount(19_999, 1000), None),
            (amount(20_000, 1000), Some(amount(1000, 0))),
            (amount(20_500, 1000), Some(amount(1500, 0))),
            (amount(10, (64 << 20) - MAX_EVENT), None),
            (amount(10, 64 << 20), Some(amount(0, (64 << 20) / 20))),
        ] {
            assert_eq!(budget.excess_of(waiting), excess, "{waiting:?}");
        }
        assert_eq!(amount(4, 1 << 20).excess_of(amount(4, 0)), Some(amount(1, 0)), "a small budget loses one");
    }
}
