//! The chaos run, small: everything is killed, frozen and cut while messages are sent, and the promise is checked.

use std::collections::HashSet;
use std::process::Command;
use std::time::Duration;

use regua_tests::chaos::{CARDS, Scene, schedule, span};

const SCENE: Scene = Scene { tenants: 4, numbers: 24 };

#[test]
fn the_same_seed_gives_the_same_schedule() {
    assert_eq!(schedule(7, 200, SCENE), schedule(7, 200, SCENE));
    assert_ne!(schedule(7, 200, SCENE), schedule(8, 200, SCENE));
}

#[test]
fn nothing_suffers_two_faults_at_once_and_every_kind_comes() {
    let planned = schedule(7, 200, SCENE);
    for (n, first) in planned.iter().enumerate() {
        let after = planned[n + 1..].iter().find(|second| second.fault.concerns() == first.fault.concerns());
        assert!(after.is_none_or(|second| second.at >= first.at + first.lasts), "{first:?} {after:?}");
    }
    let kinds: HashSet<_> = planned.iter().map(|planned| planned.fault.kind()).collect();
    assert!(kinds.len() >= CARDS.len(), "{} kinds: {kinds:?}", kinds.len());
    assert!(planned.iter().all(|planned| planned.at < span(200) * 2 && planned.lasts <= Duration::from_secs(8)));
}

#[test]
fn the_promise_holds_while_everything_is_killed_frozen_and_cut() {
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_regua-chaos"));
    chaos.env("CHAOS_MESSAGES", "1500").env("CHAOS_FAULTS", "12").env("CHAOS_SEED", "2026");
    // Other tests run beside it.
    chaos.env("CHAOS_SHARED_MACHINE", "true");
    let ended = chaos.output().unwrap();
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{told}\n{}", String::from_utf8_lossy(&ended.stderr));
}
