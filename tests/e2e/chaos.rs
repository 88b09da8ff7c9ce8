//! A small chaos run: every part is killed, frozen and cut off while messages are sent, and the invariants are checked.

use std::collections::HashSet;
use std::process::Command;
use std::time::Duration;

use regua_tests::chaos::{number_of_kinds, schedule, span};

#[test]
fn same_seed_gives_same_schedule() {
    assert_eq!(schedule(7, 200), schedule(7, 200));
    assert_ne!(schedule(7, 200), schedule(8, 200));
}

#[test]
fn faults_of_one_target_never_overlap_and_every_kind_occurs() {
    let planned = schedule(7, 200);
    for (n, first) in planned.iter().enumerate() {
        let after = planned[n + 1..].iter().find(|second| second.target() == first.target());
        assert!(after.is_none_or(|second| second.at >= first.at + first.lasts), "{first:?} {after:?}");
    }
    let kinds: HashSet<_> = planned.iter().map(|planned| planned.label()).collect();
    assert!(kinds.len() >= number_of_kinds(), "{} kinds: {kinds:?}", kinds.len());
    assert!(planned.iter().all(|planned| planned.at < span(200) * 2 && planned.lasts <= Duration::from_secs(8)));
}

#[test]
fn invariants_hold_while_every_part_is_killed_frozen_and_cut_off() {
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_regua-chaos"));
    chaos.env("CHAOS_MESSAGES", "1500").env("CHAOS_FAULTS", "12").env("CHAOS_SEED", "2026");
    // Other tests run at the same time.
    chaos.env("CHAOS_SHARED_MACHINE", "true");
    let ended = chaos.output().unwrap();
    let report = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{report}\n{}", String::from_utf8_lossy(&ended.stderr));
}
