//! A large batch and small ones beside it.

use uuid::Uuid;

use super::*;

fn left(turn: &Turn<'_>) -> Duration {
    match turn {
        Turn::Large { gives_way_for, .. } => *gives_way_for,
        Turn::Small(_) => panic!("a small batch"),
    }
}

#[tokio::test]
async fn a_large_batch_lets_small_ones_go_first_and_not_for_ever() {
    let settings = LimitSettings { cores: 4, ..LimitSettings::default() };
    let limits = Limits::new(settings, Duration::ZERO, Clock::system(), Metrics::new().unwrap()).unwrap();
    let tenant = TenantId(Uuid::from_u128(1));
    let mut large = limits.turn(tenant, LARGE_BODY).await.unwrap();
    large.give_way().await;
    assert!(left(&large) > LARGE_GIVES_WAY_IN_ALL - LARGE_GIVES_WAY, "nobody is there");

    let small = limits.turn(tenant, LARGE_BODY - 1).await.unwrap();
    let began = Instant::now();
    while left(&large) > Duration::ZERO {
        large.give_way().await;
    }
    assert!(began.elapsed() >= LARGE_GIVES_WAY_IN_ALL - LARGE_GIVES_WAY);
    large.give_way().await;

    drop(small);
    let mut another = limits.turn(tenant, LARGE_BODY).await.unwrap();
    another.give_way().await;
    assert!(left(&another) > LARGE_GIVES_WAY_IN_ALL - LARGE_GIVES_WAY, "they have gone");
}
