//! A large batch beside small batches.

use uuid::Uuid;

use crate::metrics::ApiMetrics;

use super::*;

fn remaining(turn: &Turn<'_>) -> Duration {
    match turn {
        Turn::Large { gives_way_for, .. } => *gives_way_for,
        Turn::Small(_) => panic!("a small batch"),
    }
}

#[tokio::test]
async fn large_batch_lets_small_batches_go_first_for_a_limited_time() {
    let settings = LimitSettings { cores: 4, ..LimitSettings::default() };
    let turns = BatchTurns::new(
        &settings,
        Duration::ZERO,
        Refusals::new(ApiMetrics::new(&regua_boot::Registry::default()).unwrap()),
    )
    .unwrap();
    let tenant = TenantId(Uuid::from_u128(1));
    let mut large = turns.wait(tenant, LARGE_BODY).await.unwrap();
    large.give_way().await;
    assert!(remaining(&large) > LARGE_GIVES_WAY_IN_ALL - LARGE_GIVES_WAY, "there is no small batch");

    let small = turns.wait(tenant, LARGE_BODY - 1).await.unwrap();
    let began = Instant::now();
    while remaining(&large) > Duration::ZERO {
        large.give_way().await;
    }
    assert!(began.elapsed() >= LARGE_GIVES_WAY_IN_ALL - LARGE_GIVES_WAY);
    large.give_way().await;

    drop(small);
    let mut another = turns.wait(tenant, LARGE_BODY).await.unwrap();
    another.give_way().await;
    assert!(remaining(&another) > LARGE_GIVES_WAY_IN_ALL - LARGE_GIVES_WAY, "the small batch has ended");
}
