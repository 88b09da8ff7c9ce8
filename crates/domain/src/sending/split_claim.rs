//! Splits a claim of a lane among its queues by priority, so that no queue starves.

/// The waiting contacts of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The priority of the queue's message type; higher goes first.
    pub priority: u8,
    /// Number of waiting contacts.
    pub waiting: u32,
}

/// The number of contacts to claim from each queue, `limit` in all if as many wait. `waiting` is ordered by falling
/// priority, then oldest first.
///
/// Each priority below the highest waiting one gets a tenth of the limit (rounded up), if that many of its contacts
/// wait; the highest priority gets the rest. Limits below ten cannot be divided so: then each lower priority gets its
/// tenth over ten consecutive values of `turn`, the number of the lane's claim. Within a priority the oldest queue is
/// first.
pub fn split_claim(limit: u32, turn: u64, waiting: &[Waiting]) -> Vec<u32> {
    let mut quotas = vec![0; waiting.len()];
    let mut left = limit;
    let groups = groups(waiting);
    for (lower, group) in (1_u64..).zip(groups.iter().skip(1)) {
        let reserved = tenth(limit, turn, lower).min(left);
        left -= fill(&mut quotas, waiting, group.clone(), reserved);
    }
    for group in groups {
        left -= fill(&mut quotas, waiting, group, left);
    }
    quotas
}

fn groups(waiting: &[Waiting]) -> Vec<std::ops::Range<usize>> {
    let mut groups = Vec::new();
    let mut begins = 0;
    for chunk in waiting.chunk_by(|one, next| one.priority == next.priority) {
        let range = begins..begins + chunk.len();
        begins = range.end;
        if chunk.iter().any(|queue| queue.waiting > 0) {
            groups.push(range);
        }
    }
    groups
}

/// A tenth of the limit for the `lower`th of the lower priorities. For small limits each of them gets it in other
/// turns.
fn tenth(limit: u32, turn: u64, lower: u64) -> u32 {
    if limit >= 10 {
        return limit.div_ceil(10);
    }
    let turn = u32::try_from((turn % 10 + lower) % 10).unwrap_or_default();
    (turn + 1) * limit / 10 - turn * limit / 10
}

/// Gives up to `amount` to the queues of a group, the oldest first; returns the given amount.
fn fill(quotas: &mut [u32], waiting: &[Waiting], group: std::ops::Range<usize>, amount: u32) -> u32 {
    let mut left = amount;
    for index in group {
        let given = (waiting[index].waiting - quotas[index]).min(left);
        quotas[index] += given;
        left -= given;
    }
    amount - left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queues(entries: &[(u8, u32)]) -> Vec<Waiting> {
        entries.iter().map(|&(priority, waiting)| Waiting { priority, waiting }).collect()
    }

    #[test]
    fn highest_priority_is_first_and_lower_ones_get_a_tenth() {
        type Case<'a> = (u32, &'a [(u8, u32)], &'a [u32]);
        let cases: [Case<'_>; 9] = [
            (100, &[], &[]),
            (100, &[(10, 500)], &[100]),
            (100, &[(10, 500), (5, 500), (1, 500)], &[80, 10, 10]),
            (100, &[(10, 500), (5, 3), (1, 500)], &[87, 3, 10]),
            (100, &[(10, 20), (5, 500), (1, 500)], &[20, 70, 10]),
            (100, &[(10, 60), (10, 500), (1, 500)], &[60, 30, 10]),
            (100, &[(10, 0), (5, 500), (1, 500)], &[0, 90, 10]),
            (15, &[(10, 500), (1, 500)], &[13, 2]),
            (0, &[(10, 5), (1, 5)], &[0, 0]),
        ];
        for (batch, waiting, expected) in cases {
            assert_eq!(split_claim(batch, 0, &queues(waiting)), expected, "{batch} of {waiting:?}");
        }
    }

    fn ordered_queues() -> impl Strategy<Value = Vec<Waiting>> {
        prop::collection::vec((prop::sample::select(vec![10_u8, 5, 1]), 0_u32..400), 0..8).prop_map(|mut entries| {
            entries.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
            queues(&entries)
        })
    }

    proptest! {
        #[test]
        fn batch_is_used_up_and_never_exceeded(batch in 0_u32..300, turn: u64, waiting in ordered_queues()) {
            let quotas = split_claim(batch, turn, &waiting);
            let total: u32 = waiting.iter().map(|queue| queue.waiting).sum();
            prop_assert_eq!(quotas.iter().sum::<u32>(), batch.min(total));
            prop_assert!(quotas.iter().zip(&waiting).all(|(quota, queue)| *quota <= queue.waiting));
        }

        #[test]
        fn no_priority_starves(batch in 1_u32..300, turn in 0_u64..1_000_000, waiting in ordered_queues()) {
            let turns = if batch >= 10 { 1 } else { 10 };
            for priority in [10, 5, 1] {
                let waits: u32 = waiting.iter().filter(|queue| queue.priority == priority).map(|queue| queue.waiting).sum();
                let got: u32 = (turn..turn + turns)
                    .flat_map(|turn| split_claim(batch, turn, &waiting).into_iter().zip(&waiting))
                    .filter_map(|(quota, queue)| (queue.priority == priority).then_some(quota))
                    .sum();
                prop_assert!(u64::from(got) * 10 >= u64::from(batch) * turns || got >= waits);
            }
        }

        #[test]
        fn oldest_queue_of_a_priority_is_first(batch in 0_u32..300, turn: u64, waiting in ordered_queues()) {
            let quotas = split_claim(batch, turn, &waiting);
            for index in 1..waiting.len() {
                let older_waits = quotas[index - 1] < waiting[index - 1].waiting;
                let same = waiting[index - 1].priority == waiting[index].priority;
                prop_assert!(!(same && older_waits && quotas[index] > 0));
            }
        }
    }
}
