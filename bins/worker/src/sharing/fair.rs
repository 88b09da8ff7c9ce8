//! How many lanes a worker should hold: pure, and the same for everybody who counts at the same moment.

use std::cmp::Reverse;

use regua_store::workers::Survey;

/// A worker's share of all lanes. Where they cannot be divided evenly, those who hold most keep one more, so that as few
/// lanes as possible change hands.
pub(super) fn share(name: &str, survey: &Survey) -> usize {
    let workers = &survey.workers;
    let total = workers.iter().map(|(_, lanes)| lanes).sum::<usize>() + survey.offered + survey.expired;
    let live = workers.len().max(1);
    let mine = workers.iter().find(|(other, _)| other == name).map_or(0, |(_, lanes)| *lanes);
    let rank = |name: &str, lanes: usize| (Reverse(lanes), name.to_owned());
    let before = workers.iter().filter(|(other, lanes)| rank(other, *lanes) < rank(name, mine)).count();
    total / live + usize::from(before < total % live)
}

/// How many of its lanes a worker lets go: none while it holds hardly more than its share, because lanes come and go by
/// themselves, and otherwise all that are too many.
pub(super) fn excess(held: usize, share: usize) -> usize {
    let excess = held.saturating_sub(share);
    if excess > share / 20 { excess } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(lanes: &[usize], offered: usize) -> Survey {
        let workers = lanes.iter().enumerate().map(|(n, lanes)| (format!("worker-{n}"), *lanes)).collect();
        Survey { workers, offered, expired: 0 }
    }

    fn shares(lanes: &[usize], offered: usize) -> Vec<usize> {
        (0..lanes.len()).map(|n| share(&format!("worker-{n}"), &survey(lanes, offered))).collect()
    }

    #[test]
    fn all_shares_together_are_all_lanes() {
        for lanes in [vec![0], vec![7, 0], vec![60, 0, 0], vec![3, 3, 3, 1], vec![5, 5, 0], vec![10_000, 1, 2]] {
            for offered in [0, 1, 17] {
                let (shares, all) = (shares(&lanes, offered), lanes.iter().sum::<usize>() + offered);
                assert_eq!(shares.iter().sum::<usize>(), all, "{lanes:?} and {offered}");
                let (least, most) = (shares.iter().min(), shares.iter().max());
                assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{shares:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_divided_stays_where_it_is() {
        assert_eq!(shares(&[3, 3, 2, 2], 0), [3, 3, 2, 2]);
        assert_eq!(shares(&[2, 3, 2, 3], 0), [2, 3, 2, 3]);
        assert_eq!(shares(&[3, 3, 3, 1], 0), [3, 3, 2, 2]);
        assert_eq!(shares(&[0, 1], 0), [0, 1]);
    }

    #[test]
    fn a_worker_that_is_not_counted_yet_has_a_share_all_the_same() {
        assert_eq!(share("new", &Survey::default()), 0);
        assert_eq!(share("new", &survey(&[4, 4], 0)), 4);
    }

    #[test]
    fn what_a_dead_worker_held_is_everybodys() {
        let lost = Survey { expired: 20, ..survey(&[20, 20], 0) };
        assert_eq!((share("worker-0", &lost), share("worker-1", &lost)), (30, 30));
    }

    #[test]
    fn little_too_many_is_not_worth_the_way() {
        for (held, share, expected) in
            [(20, 20, 0), (21, 20, 0), (22, 20, 2), (2, 1, 1), (1, 2, 0), (3_400, 3_333, 0), (5_000, 3_333, 1_667)]
        {
            assert_eq!(excess(held, share), expected, "{held} held, share {share}");
        }
    }
}
