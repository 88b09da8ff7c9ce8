//! A worker's target: the number of lanes that it should hold. Pure. The targets that workers compute from the same
//! counts add up to the number of all lanes.

use std::cmp::Reverse;

use regua_store::workers::LaneCounts;

/// An equal part of all lanes. The remainder goes to the workers that hold most, so that as few lanes as possible move.
pub(super) fn target(name: &str, counts: &LaneCounts) -> usize {
    let workers = &counts.workers;
    let total = workers.iter().map(|(_, lanes)| lanes).sum::<usize>() + counts.offered + counts.expired;
    let live = workers.len().max(1);
    let held = workers.iter().find(|(other, _)| other == name).map_or(0, |(_, lanes)| *lanes);
    let rank = |name: &str, lanes: usize| (Reverse(lanes), name.to_owned());
    let before = workers.iter().filter(|(other, lanes)| rank(other, *lanes) < rank(name, held)).count();
    total / live + usize::from(before < total % live)
}

/// The number of lanes that a worker offers: its lanes above the target, or none if they are at most a twentieth of the
/// target. Doorbells and idle lanes change the number of lanes all the time.
pub(super) fn excess(held: usize, target: usize) -> usize {
    let excess = held.saturating_sub(target);
    if excess > target / 20 { excess } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(lanes: &[usize], offered: usize) -> LaneCounts {
        let workers = lanes.iter().enumerate().map(|(n, lanes)| (format!("worker-{n}"), *lanes)).collect();
        LaneCounts { workers, offered, expired: 0 }
    }

    fn targets(lanes: &[usize], offered: usize) -> Vec<usize> {
        (0..lanes.len()).map(|n| target(&format!("worker-{n}"), &counts(lanes, offered))).collect()
    }

    #[test]
    fn targets_add_up_to_all_lanes() {
        for lanes in [vec![0], vec![7, 0], vec![60, 0, 0], vec![3, 3, 3, 1], vec![5, 5, 0], vec![10_000, 1, 2]] {
            for offered in [0, 1, 17] {
                let (targets, all) = (targets(&lanes, offered), lanes.iter().sum::<usize>() + offered);
                assert_eq!(targets.iter().sum::<usize>(), all, "{lanes:?} and {offered}");
                let (least, most) = (targets.iter().min(), targets.iter().max());
                assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{targets:?}");
            }
        }
    }

    #[test]
    fn lanes_that_cannot_be_divided_do_not_move() {
        assert_eq!(targets(&[3, 3, 2, 2], 0), [3, 3, 2, 2]);
        assert_eq!(targets(&[2, 3, 2, 3], 0), [2, 3, 2, 3]);
        assert_eq!(targets(&[3, 3, 3, 1], 0), [3, 3, 2, 2]);
        assert_eq!(targets(&[0, 1], 0), [0, 1]);
    }

    #[test]
    fn worker_without_a_row_has_a_target() {
        assert_eq!(target("new", &LaneCounts::default()), 0);
        assert_eq!(target("new", &counts(&[4, 4], 0)), 4);
    }

    #[test]
    fn lanes_of_a_dead_worker_are_divided() {
        let counts = LaneCounts { expired: 20, ..counts(&[20, 20], 0) };
        assert_eq!((target("worker-0", &counts), target("worker-1", &counts)), (30, 30));
    }

    #[test]
    fn small_excess_is_not_offered() {
        for (held, target, expected) in
            [(20, 20, 0), (21, 20, 0), (22, 20, 2), (2, 1, 1), (1, 2, 0), (3_400, 3_333, 0), (5_000, 3_333, 1_667)]
        {
            assert_eq!(excess(held, target), expected, "{held} held, target {target}");
        }
    }
}
