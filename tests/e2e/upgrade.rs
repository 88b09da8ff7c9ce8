//! What an earlier version left in the database is taken up by this one.

use regua_domain::{AttemptId, ContactId, InstanceId, TenantId};
use regua_store::attempts::{self, AttemptKey};
use regua_store::{contacts, evidence};
use regua_tests::{Database, monday_ten_o_clock};
use sqlx::{Executor, PgPool};
use uuid::Uuid;

const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const INSTANCE: InstanceId = InstanceId(Uuid::from_u128(0xb1));

/// Before 0005, an attempt was a row from its mark on. One contact was sent; the second was on its way for the first time, the
/// third for the second time, and a webhook had proven the second.
const BEFORE: &str = "
    set session_replication_role = replica;
    insert into queues (tenant_id, queue_id, campaign_id, instance_id, type, priority, status, created_at, total, pending,
                        sending, sent, next_position)
    select pg_temp.n(1), pg_temp.n(161), pg_temp.n(162), pg_temp.n(177), 'overdue', 9, 'running', now(), 3, 0, 2, 1, 3;
    insert into contacts (tenant_id, contact_id, queue_id, position, name, phone, variation, reference, text, status, due_at,
                          created_at, updated_at, attempts)
    select pg_temp.n(1), pg_temp.n(192 + place), pg_temp.n(161), place, 'Maria', '+551198765432' || place, 1, 'R' || place, 'texto', status, now(),
           now(), now(), attempts
    from (values (0, 'sent', 1), (1, 'sending', 1), (2, 'sending', 2)) c (place, status, attempts);
    insert into attempts (tenant_id, attempt_id, contact_id, instance_id, number, reference, lease_epoch, worker, started_at,
                          finished_at, outcome)
    select pg_temp.n(1), pg_temp.n(attempt), pg_temp.n(contact), pg_temp.n(177), number, 'R', 7, 'lost', now(), finished_at, outcome
    from (values (208, 192, 1, now(), 'sent'), (209, 193, 1, null, null), (210, 194, 1, now(), 'not_sent'),
                 (211, 194, 2, null, null)) a (attempt, contact, number, finished_at, outcome);
    insert into evidence (tenant_id, evidence_id, attempt_id, source, has_left, created_at)
    values (pg_temp.n(1), pg_temp.n(224), pg_temp.n(209), 'webhook', true, now());";

async fn execute(pool: &PgPool, statements: &'static str) {
    let mut conn = pool.acquire().await.unwrap();
    conn.execute(
        "create function pg_temp.n(n integer) returns uuid language sql as
                  $$ select lpad(to_hex(n), 32, '0')::uuid $$; set search_path = public, pg_temp",
    )
    .await
    .unwrap();
    conn.execute(sqlx::raw_sql(statements)).await.unwrap();
    conn.close_on_drop();
}

#[tokio::test]
async fn what_was_under_way_before_an_upgrade_is_found_after_it() {
    let database = Database::as_of(4).await;
    execute(&database.pool, BEFORE).await;
    let database = Database::on(&database.url).await;
    let now = monday_ten_o_clock();
    let mut conn = database.pool.acquire().await.unwrap();
    assert_eq!(contacts::settle_abandoned(&mut conn, TENANT, INSTANCE, now).await.unwrap(), 2);
    let mut tries = Vec::new();
    for contact in [192, 193, 194] {
        let of_it = attempts::of_contact(&mut conn, TENANT, ContactId(Uuid::from_u128(contact))).await.unwrap();
        tries.push(of_it.into_iter().map(|attempt| attempt.outcome.unwrap()).collect::<Vec<_>>());
    }
    assert_eq!(tries, [vec!["sent"], vec!["unknown"], vec!["not_sent", "unknown"]]);
    let (contact, attempt) = (ContactId(Uuid::from_u128(193)), AttemptId(Uuid::from_u128(209)));
    let proven = AttemptKey { tenant: TENANT, contact, attempt };
    assert!(evidence::proof(&mut conn, proven).await.unwrap().is_some());
}
