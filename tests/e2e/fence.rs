//! The fence, statement by statement: an owner whose lane was taken over can claim, mark, finish and release nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, ContactId, ContactStatus, InstanceId, QueueId, TenantId};
use regua_store::attempts::AttemptKey;
use regua_store::contacts::{self, Finding, Finish, Learnt, NewAttempt, Quota};
use regua_store::evidence::Source;
use regua_store::lanes::{self, Lease, Released, Taken};
use regua_store::queues::{self, CountChange};
use regua_tests::{Fleet, FleetOptions, TenantOptions, batch};
use sqlx::PgConnection;

const LEASE: Duration = Duration::from_secs(60);

async fn take(conn: &mut PgConnection, lane: (TenantId, InstanceId), worker: &str, lease: Duration) -> Lease {
    match lanes::take(conn, lane.0, lane.1, worker, lease).await.unwrap() {
        Taken::Ours(lease) => lease,
        other => panic!("{worker} cannot take the lane: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_owner_can_change_nothing() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = QueueId(erp.accepted("overdue", &batch("lote-a", 3)).await.parse().unwrap());
    let lane = (tenant.id, tenant.instances[0]);
    let now = fleet.clock.now();
    let mut conn = fleet.database.pool.acquire().await.unwrap();

    // The first owner claims two, marks one, and its lease runs out at once.
    let first = take(&mut conn, lane, "first", Duration::ZERO).await;
    let claimed =
        contacts::claim(&mut conn, &[Quota { tenant_id: tenant.id, queue_id: queue, quota: 2 }], now).await.unwrap();
    let (marked, unmarked) = (claimed[0].contact_id, claimed[1].contact_id);
    let attempt = first_attempt(tenant.id, marked, &first, now);
    mark(&mut conn, attempt, now).await;

    let second = take(&mut conn, lane, "second", LEASE).await;
    assert!(second.was_abandoned && second.epoch > first.epoch);
    assert_eq!(contacts::settle_abandoned(&mut conn, lane.0, lane.1, now).await.unwrap(), 1);

    // None of the first owner's writes takes effect any more.
    assert!(lanes::lock(&mut conn, &[(lane.0, lane.1, first.epoch)]).await.unwrap().is_empty());
    assert!(lanes::heartbeat(&mut conn, &[(lane.0, lane.1, first.epoch)], LEASE).await.unwrap().is_empty());
    let marked_again = contacts::mark_sending(&mut conn, "first", &[attempt], now).await.unwrap();
    assert_eq!(marked_again, 0, "it was marked before");
    let late = outcome(attempt, lane, "not_sent", ContactStatus::Pending, now);
    assert!(contacts::finish(&mut conn, &[&late], now).await.unwrap().is_empty(), "it would be sent again");
    let released = lanes::release(&mut conn, lane.0, lane.1, first.epoch, None).await.unwrap();
    assert_eq!(released, Released::Lost);

    // The second owner may claim what was claimed, and not what was marked.
    let again =
        contacts::claim(&mut conn, &[Quota { tenant_id: tenant.id, queue_id: queue, quota: 10 }], now).await.unwrap();
    let again: Vec<ContactId> = again.iter().map(|contact| contact.contact_id).collect();
    assert!(again.len() == 2 && again.contains(&unmarked) && !again.contains(&marked));
    drop(conn);
    fleet.end_unfinished().await;
}

/// There is no index of what is under way. A takeover finds it by the queue's place and by what comes again, and so neither may
/// lose sight of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_finds_whatever_is_under_way() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = QueueId(erp.accepted("overdue", &batch("lote-a", 4)).await.parse().unwrap());
    let lane = (tenant.id, tenant.instances[0]);
    let now = fleet.clock.now();
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let first = take(&mut conn, lane, "first", Duration::ZERO).await;
    let quota = [Quota { tenant_id: tenant.id, queue_id: queue, quota: 4 }];
    let claimed = contacts::claim(&mut conn, &quota, now).await.unwrap();

    // The first contact is on its way for the second time, the third for the first, and the fourth has left.
    let attempts: Vec<_> = [0, 2, 3].map(|n| first_attempt(tenant.id, claimed[n].contact_id, &first, now)).into();
    for attempt in &attempts {
        mark(&mut conn, *attempt, now).await;
    }
    finish(&mut conn, queue, &outcome(attempts[0], lane, "not_sent", ContactStatus::Pending, now), now).await;
    queues::start(&mut conn, &[(tenant.id, queue, 1)], now).await.unwrap();
    mark(&mut conn, NewAttempt { number: 2, ..first_attempt(tenant.id, claimed[0].contact_id, &first, now) }, now)
        .await;
    finish(&mut conn, queue, &outcome(attempts[2], lane, "sent", ContactStatus::Sent, now), now).await;

    // Only the second waits, however far its owner says that the queue has come.
    let left: Vec<_> = contacts::claim(&mut conn, &quota, now).await.unwrap();
    assert_eq!(left.iter().map(|contact| contact.contact_id).collect::<Vec<_>>(), [claimed[1].contact_id]);
    queues::start(&mut conn, &[(tenant.id, queue, 4)], now).await.unwrap();
    erp.control(&queue.0.to_string(), "cancel").await;

    take(&mut conn, lane, "second", LEASE).await;
    assert_eq!(contacts::with_attempts_under_way(&mut conn, &[lane]).await.unwrap(), [lane]);
    assert_eq!(contacts::settle_abandoned(&mut conn, lane.0, lane.1, now).await.unwrap(), 2);
    assert!(contacts::with_attempts_under_way(&mut conn, &[lane]).await.unwrap().is_empty());
    drop(conn);
    fleet.end_without_the_ledger().await;
}

/// Writes an outcome down as the ledger does.
async fn finish(conn: &mut PgConnection, queue: QueueId, outcome: &Finish, now: DateTime<Utc>) {
    let finished = contacts::finish(conn, &[outcome], now).await.unwrap();
    let change = CountChange::moved(ContactStatus::Sending, finished[0].status);
    queues::change_counts(conn, &[(outcome.key.tenant, queue, change)], now).await.unwrap();
}

fn outcome(
    attempt: NewAttempt,
    lane: (TenantId, InstanceId),
    outcome: &'static str,
    status: ContactStatus,
    now: DateTime<Utc>,
) -> Finish {
    let due_at = (status == ContactStatus::Pending).then_some(now);
    Finish { key: attempt.key, instance_id: lane.1, outcome, reason: None, message_id: None, status, due_at }
}

fn first_attempt(tenant: TenantId, contact: ContactId, lease: &Lease, now: DateTime<Utc>) -> NewAttempt {
    let key = AttemptKey { tenant, contact, attempt: AttemptId::new(now) };
    NewAttempt { key, number: 1, lease_epoch: lease.epoch }
}

async fn mark(conn: &mut PgConnection, attempt: NewAttempt, now: DateTime<Utc>) {
    assert_eq!(contacts::mark_sending(conn, "first", &[attempt], now).await.unwrap(), 1);
    let sending = CountChange { pending: -1, sending: 1, ..CountChange::default() };
    let queue = "select queue_id from contacts where contact_id = $1";
    #[expect(clippy::disallowed_methods, reason = "a test looks at the tables directly")]
    let queue: uuid::Uuid = sqlx::query_scalar(queue).bind(attempt.key.contact.0).fetch_one(&mut *conn).await.unwrap();
    queues::change_counts(conn, &[(attempt.key.tenant, QueueId(queue), sending)], now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_while_the_lane_is_held_keeps_its_owner_from_letting_go() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, _) = Fleet::with(options, TenantOptions::default()).await;
    let (tenant, instance) = (tenant.id, tenant.instances[0]);
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let lease = take(&mut conn, (tenant, instance), "first", LEASE).await;
    assert!(matches!(lanes::take(&mut conn, tenant, instance, "second", LEASE).await.unwrap(), Taken::Held));
    let released = lanes::release(&mut conn, tenant, instance, lease.epoch, Some(lease.bell)).await.unwrap();
    assert_eq!(released, Released::Rung(lease.bell + 1));
    let released = lanes::release(&mut conn, tenant, instance, lease.epoch, Some(lease.bell + 1)).await.unwrap();
    assert_eq!(released, Released::Free);
    drop(conn);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_stands_still_in_a_transaction_does_not_keep_its_lane() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, _) = Fleet::with(options, TenantOptions::default()).await;
    let lane = (tenant.id, tenant.instances[0]);
    let mut frozen = fleet.database.pool.begin().await.unwrap();
    let lease = take(&mut frozen, lane, "frozen", Duration::ZERO).await;
    frozen.commit().await.unwrap();
    let mut frozen = fleet.database.pool.begin().await.unwrap();
    assert_eq!(lanes::lock(&mut frozen, &[(lane.0, lane.1, lease.epoch)]).await.unwrap().len(), 1);

    // It says nothing more, and its locks are gone before this statement gives up.
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let second = take(&mut conn, lane, "second", LEASE).await;
    assert!(second.epoch > lease.epoch);
    let ended = lanes::lock(&mut frozen, &[]).await.unwrap_err();
    assert!(regua_store::is_unavailable(&ended), "what it had to write must be tried again: {ended}");
    lanes::release(&mut conn, lane.0, lane.1, second.epoch, None).await.unwrap();
    drop((frozen, conn));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_overtakes_an_answer_to_the_contrary_is_believed() {
    let options = FleetOptions { workers: 0, ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = erp.accepted("overdue", &batch("lote-a", 1)).await;
    let lane = (tenant.id, tenant.instances[0]);
    let now = fleet.clock.now();
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let lease = take(&mut conn, lane, "first", LEASE).await;
    let queue_id = QueueId(queue.parse().unwrap());
    let claimed = contacts::claim(&mut conn, &[Quota { tenant_id: tenant.id, queue_id, quota: 1 }], now).await.unwrap();
    let attempt = first_attempt(tenant.id, claimed[0].contact_id, &lease, now);
    mark(&mut conn, attempt, now).await;
    let left = Finding::Left { message_id: Some("3EB01".to_owned()), at: now };
    let learnt = contacts::learn(&mut conn, attempt.key, Source::Webhook, &left, None, now).await.unwrap();
    assert_eq!(learnt, Learnt::Kept, "its worker is still at it");
    let answer = outcome(attempt, lane, "not_sent", ContactStatus::Pending, now);
    let finished = contacts::finish(&mut conn, &[&answer], now).await.unwrap();
    assert_eq!(finished[0].status, ContactStatus::Unconfirmed, "it would be sent again");
    let change = CountChange::moved(ContactStatus::Sending, ContactStatus::Unconfirmed);
    queues::change_counts(&mut conn, &[(tenant.id, queue_id, change)], now).await.unwrap();
    lanes::release(&mut conn, lane.0, lane.1, lease.epoch, None).await.unwrap();
    drop(conn);
    fleet.hands.set(now + chrono::TimeDelta::seconds(16));
    erp.until_that(&queue, "proven", |queue| queue["sent"] == 1).await;
    fleet.end_without_the_ledger().await;
}
