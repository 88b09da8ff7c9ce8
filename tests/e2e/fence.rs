//! The fence, statement by statement: a worker whose lane was taken over can lock, renew, mark, finish and release
//! nothing.

use std::slice;
use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, AttemptOutcome, ContactId, ContactStatus, EvidenceSource, LaneKey, QueueId, TenantId};
use regua_store::attempts::AttemptKey;
use regua_store::contacts::{self, Evidence, Finish, LearnResult, NewAttempt, NextState, Quota};
use regua_store::lanes::{self, Lease, LeaseResult, Released};
use regua_store::queues::{self, ContactMove};
use regua_tests::{Fleet, FleetOptions, TenantOptions, batch};
use sqlx::PgConnection;

const LEASE: Duration = Duration::from_secs(60);

async fn lease(conn: &mut PgConnection, lane: LaneKey, worker: &str, length: Duration) -> Lease {
    match lanes::lease(conn, lane, worker, length).await.unwrap() {
        LeaseResult::Leased(lease) => lease,
        other => panic!("{worker} cannot lease the lane: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn former_lease_holder_can_write_nothing() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = QueueId(erp.send_accepted("overdue", &batch("lote-a", 3)).await.parse().unwrap());
    let lane = LaneKey { tenant: tenant.id, instance: tenant.instances[0] };
    let now = fleet.clock.now();
    let mut conn = fleet.database.pool.acquire().await.unwrap();

    // The first worker claims two contacts and marks one. Its lease expires at once.
    let first = lease(&mut conn, lane, "first", Duration::ZERO).await;
    let claimed =
        contacts::claim(&mut conn, &[Quota { tenant_id: tenant.id, queue_id: queue, quota: 2 }], now).await.unwrap();
    let (marked, unmarked) = (claimed[0].contact_id, claimed[1].contact_id);
    let attempt = first_attempt(tenant.id, marked, &first, now);
    mark(&mut conn, attempt, now).await;

    let second = lease(&mut conn, lane, "second", LEASE).await;
    assert!(second.was_abandoned && second.epoch > first.epoch);
    assert_eq!(contacts::close_abandoned(&mut conn, lane, now).await.unwrap(), 1);

    // No write of the first worker takes effect any more.
    assert!(lanes::lock(&mut conn, &[(lane, first.epoch)]).await.unwrap().is_empty());
    assert!(lanes::heartbeat(&mut conn, &[(lane, first.epoch)], LEASE).await.unwrap().is_empty());
    let marked_again = contacts::mark_sending(&mut conn, "first", &[attempt], now).await.unwrap();
    assert_eq!(marked_again, [], "the attempt was marked before");
    let late = outcome(attempt, queue, lane, AttemptOutcome::NotSent, ContactStatus::Pending, now);
    assert!(contacts::finish(&mut conn, &[late], now).await.unwrap().is_empty(), "a late outcome would send it again");
    let released = lanes::release(&mut conn, lane, first.epoch, None).await.unwrap();
    assert_eq!(released, Released::Lost);

    // The second worker can claim the contact that was only claimed, and not the marked one.
    let again =
        contacts::claim(&mut conn, &[Quota { tenant_id: tenant.id, queue_id: queue, quota: 10 }], now).await.unwrap();
    let again: Vec<ContactId> = again.iter().map(|contact| contact.contact_id).collect();
    assert!(again.len() == 2 && again.contains(&unmarked) && !again.contains(&marked));
    drop(conn);
    fleet.end_unfinished().await;
}

/// There is no index of attempts under way. A takeover finds them by the queue's next position and by the requeued
/// contacts, so each of them must be in one of the two.
#[tokio::test(flavor = "multi_thread")]
async fn takeover_finds_every_attempt_under_way() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = QueueId(erp.send_accepted("overdue", &batch("lote-a", 4)).await.parse().unwrap());
    let lane = LaneKey { tenant: tenant.id, instance: tenant.instances[0] };
    let now = fleet.clock.now();
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let first = lease(&mut conn, lane, "first", Duration::ZERO).await;
    let quota = [Quota { tenant_id: tenant.id, queue_id: queue, quota: 4 }];
    let claimed = contacts::claim(&mut conn, &quota, now).await.unwrap();

    // The second attempt of the first contact and the first attempt of the third are under way; the fourth contact is
    // sent.
    let attempts: Vec<_> = [0, 2, 3].map(|n| first_attempt(tenant.id, claimed[n].contact_id, &first, now)).into();
    for attempt in &attempts {
        mark(&mut conn, *attempt, now).await;
    }
    finish(
        &mut conn,
        queue,
        &outcome(attempts[0], queue, lane, AttemptOutcome::NotSent, ContactStatus::Pending, now),
        now,
    )
    .await;
    queues::start(&mut conn, &[(tenant.id, queue, 1)], now).await.unwrap();
    mark(&mut conn, NewAttempt { number: 2, ..first_attempt(tenant.id, claimed[0].contact_id, &first, now) }, now)
        .await;
    finish(&mut conn, queue, &outcome(attempts[2], queue, lane, AttemptOutcome::Sent, ContactStatus::Sent, now), now)
        .await;

    // Only the second contact can be claimed. Then the next position passes all contacts.
    let left: Vec<_> = contacts::claim(&mut conn, &quota, now).await.unwrap();
    assert_eq!(left.iter().map(|contact| contact.contact_id).collect::<Vec<_>>(), [claimed[1].contact_id]);
    queues::start(&mut conn, &[(tenant.id, queue, 4)], now).await.unwrap();
    erp.control(&queue.0.to_string(), "cancel").await;

    lease(&mut conn, lane, "second", LEASE).await;
    assert_eq!(contacts::with_attempts_under_way(&mut conn, &[lane]).await.unwrap(), [lane]);
    assert_eq!(contacts::close_abandoned(&mut conn, lane, now).await.unwrap(), 2);
    assert!(contacts::with_attempts_under_way(&mut conn, &[lane]).await.unwrap().is_empty());
    drop(conn);
    fleet.end_without_the_ledger().await;
}

/// Commits an outcome and the queue's counts, as the attempt writer does.
async fn finish(conn: &mut PgConnection, queue: QueueId, outcome: &Finish, now: DateTime<Utc>) {
    let finished = contacts::finish(conn, slice::from_ref(outcome), now).await.unwrap();
    let (from, to) = (ContactStatus::Sending, finished[0].status);
    record_move(conn, outcome.key, queue, from, to, now).await;
}

fn outcome(
    attempt: NewAttempt,
    queue: QueueId,
    lane: LaneKey,
    outcome: AttemptOutcome,
    status: ContactStatus,
    now: DateTime<Utc>,
) -> Finish {
    let due_at = (status == ContactStatus::Pending).then_some(now);
    let next = NextState { outcome, reason: None, message_id: None, status, due_at };
    Finish { key: attempt.key, queue_id: queue, instance_id: lane.instance, next }
}

fn first_attempt(tenant: TenantId, contact: ContactId, lease: &Lease, now: DateTime<Utc>) -> NewAttempt {
    let key = AttemptKey { tenant, contact, attempt: AttemptId::new(now) };
    NewAttempt { key, number: 1, lease_epoch: lease.epoch }
}

async fn mark(conn: &mut PgConnection, attempt: NewAttempt, now: DateTime<Utc>) {
    assert_eq!(contacts::mark_sending(conn, "first", &[attempt], now).await.unwrap(), [attempt.key.attempt]);
    let queue = "select queue_id from contacts where contact_id = $1";
    #[expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]
    let queue: uuid::Uuid = sqlx::query_scalar(queue).bind(attempt.key.contact.0).fetch_one(&mut *conn).await.unwrap();
    record_move(conn, attempt.key, QueueId(queue), ContactStatus::Pending, ContactStatus::Sending, now).await;
}

async fn record_move(
    conn: &mut PgConnection,
    key: AttemptKey,
    queue_id: QueueId,
    from: ContactStatus,
    to: ContactStatus,
    now: DateTime<Utc>,
) {
    let moved = ContactMove { tenant_id: key.tenant, queue_id, contact_id: key.contact, from, to };
    queues::record_moves(conn, &[moved], now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn doorbell_for_held_lane_prevents_its_release() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, _) = Fleet::with(options, TenantOptions::default()).await;
    let lane = LaneKey { tenant: tenant.id, instance: tenant.instances[0] };
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let held = lease(&mut conn, lane, "first", LEASE).await;
    assert!(matches!(lanes::lease(&mut conn, lane, "second", LEASE).await.unwrap(), LeaseResult::Held));
    let released = lanes::release(&mut conn, lane, held.epoch, Some(held.bell)).await.unwrap();
    assert_eq!(released, Released::Rung(held.bell + 1));
    let released = lanes::release(&mut conn, lane, held.epoch, Some(held.bell + 1)).await.unwrap();
    assert_eq!(released, Released::Free);
    drop(conn);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_transaction_does_not_block_takeover_of_lane() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, _) = Fleet::with(options, TenantOptions::default()).await;
    let lane = LaneKey { tenant: tenant.id, instance: tenant.instances[0] };
    let mut frozen = fleet.database.pool.begin().await.unwrap();
    let held = lease(&mut frozen, lane, "frozen", Duration::ZERO).await;
    frozen.commit().await.unwrap();
    let mut frozen = fleet.database.pool.begin().await.unwrap();
    assert_eq!(lanes::lock(&mut frozen, &[(lane, held.epoch)]).await.unwrap().len(), 1);

    // The frozen session runs no further statement. PostgreSQL ends it before the statement of this session times out.
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let second = lease(&mut conn, lane, "second", LEASE).await;
    assert!(second.epoch > held.epoch);
    let ended = lanes::lock(&mut frozen, &[]).await.unwrap_err();
    assert!(regua_store::is_unavailable(&ended), "the frozen session's write must count as retryable: {ended}");
    lanes::release(&mut conn, lane, second.epoch, None).await.unwrap();
    drop((frozen, conn));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proof_that_precedes_contrary_outcome_prevails() {
    let options = FleetOptions { workers: 0, ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 1)).await;
    let lane = LaneKey { tenant: tenant.id, instance: tenant.instances[0] };
    let now = fleet.clock.now();
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let held = lease(&mut conn, lane, "first", LEASE).await;
    let queue_id = QueueId(queue.parse().unwrap());
    let claimed = contacts::claim(&mut conn, &[Quota { tenant_id: tenant.id, queue_id, quota: 1 }], now).await.unwrap();
    let attempt = first_attempt(tenant.id, claimed[0].contact_id, &held, now);
    mark(&mut conn, attempt, now).await;
    let left = Evidence::Left { message_id: Some("3EB01".to_owned()), at: now };
    let learnt = contacts::learn(&mut conn, attempt.key, EvidenceSource::Webhook, &left, None, now).await.unwrap();
    assert_eq!(learnt, LearnResult::Unchanged, "the attempt is still under way");
    let answer = outcome(attempt, queue_id, lane, AttemptOutcome::NotSent, ContactStatus::Pending, now);
    let finished = contacts::finish(&mut conn, &[answer], now).await.unwrap();
    assert_eq!(finished[0].status, ContactStatus::Unconfirmed, "a pending contact would be sent again");
    let (from, to) = (ContactStatus::Sending, ContactStatus::Unconfirmed);
    record_move(&mut conn, attempt.key, queue_id, from, to, now).await;
    lanes::release(&mut conn, lane, held.epoch, None).await.unwrap();
    drop(conn);
    fleet.manual_clock.set(now + chrono::TimeDelta::seconds(16));
    erp.wait_until(&queue, "proven", |queue| queue["sent"] == 1).await;
    fleet.end_without_the_ledger().await;
}
