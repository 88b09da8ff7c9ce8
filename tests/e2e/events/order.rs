//! The order of events: a reader that goes on after what it has read misses none and reads none twice, whatever is under
//! way at the same time.

use std::time::Duration;

use regua_domain::{EventSeq, TenantId};
use regua_store::access;
use regua_store::events;
use regua_tests::Database;
use sqlx::{AssertSqlSafe, Executor, PgPool, Postgres, Transaction};
use tokio::task::JoinSet;

const WRITERS: u64 = 8;
const TRANSACTIONS: u64 = 40;

fn tenant(n: u8) -> TenantId {
    TenantId(uuid::Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0000 | u128::from(n)))
}

/// A transaction that has written this many events.
async fn writer(pool: &PgPool, tenant: TenantId, events: usize) -> Transaction<'static, Postgres> {
    let mut transaction = pool.begin().await.unwrap();
    let insert = format!(
        "insert into events (tenant_id, kind, at)
         select '{tenant}', 'contact.sent', now() from generate_series(1, {events})"
    );
    transaction.execute(AssertSqlSafe(insert)).await.unwrap();
    transaction
}

/// What a reader sees after this cursor, as the API reads.
async fn read(pool: &PgPool, tenant: TenantId, after: i64) -> Vec<i64> {
    let mut transaction = access::begin(pool, tenant).await.unwrap();
    let page = events::list_after(&mut transaction, tenant, EventSeq(after), 1000).await.unwrap();
    page.iter().map(|event| event.seq.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_waits_for_a_transaction_with_lower_numbers() {
    let Database { pool, .. } = Database::fresh().await;
    writer(&pool, tenant(1), 1).await.commit().await.unwrap();
    let first = writer(&pool, tenant(1), 2).await;
    let second = writer(&pool, tenant(1), 2).await;
    let third = writer(&pool, tenant(1), 2).await;
    second.commit().await.unwrap();
    assert_eq!(read(&pool, tenant(1), 0).await, [1], "the first transaction may still commit the numbers 2 and 3");
    first.commit().await.unwrap();
    assert_eq!(read(&pool, tenant(1), 1).await, [2, 3, 4, 5], "nothing is missed, nothing comes twice");
    assert_eq!(read(&pool, tenant(1), 5).await, [0; 0]);
    third.rollback().await.unwrap();
    writer(&pool, tenant(1), 1).await.commit().await.unwrap();
    assert_eq!(read(&pool, tenant(1), 5).await, [8], "a rolled back transaction leaves a gap");
}

/// The snapshot's xmin would wait for all of these: a batch that is stored, an index that is built, another program's
/// transaction in another database of the server.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_without_events_delay_no_reader() {
    let Database { pool, .. } = Database::fresh().await;
    let Database { pool: elsewhere, .. } = Database::fresh().await;
    let mut open = Vec::new();
    for pool in [&pool, &elsewhere] {
        let mut transaction = pool.begin().await.unwrap();
        transaction
            .execute("set local idle_in_transaction_session_timeout = 0; select pg_current_xact_id()")
            .await
            .unwrap();
        open.push(transaction);
    }
    open.push(writer(&elsewhere, tenant(1), 3).await);
    writer(&pool, tenant(1), 2).await.commit().await.unwrap();
    assert_eq!(read(&pool, tenant(1), 0).await, [1, 2]);
}

/// A lock holds the lower 32 bits of a number.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_above_32_bits_are_read_in_order() {
    let Database { pool, .. } = Database::fresh().await;
    for start in [i64::from(i32::MAX), i64::from(u32::MAX), 5 * i64::from(u32::MAX)] {
        pool.execute(AssertSqlSafe(format!("select setval('events_seq_seq', {start})"))).await.unwrap();
        let (first, second) = (writer(&pool, tenant(1), 2).await, writer(&pool, tenant(1), 1).await);
        second.commit().await.unwrap();
        assert_eq!(read(&pool, tenant(1), start).await, [0; 0]);
        first.commit().await.unwrap();
        assert_eq!(read(&pool, tenant(1), start).await, [start + 1, start + 2, start + 3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_reader_sees_every_event_of_concurrent_writers_once() {
    let Database { pool, .. } = Database::fresh().await;
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let pool = pool.clone();
        writers.spawn(async move {
            for round in 0..TRANSACTIONS {
                let tenant = tenant(u8::from((n + round) % 3 == 0));
                let mut transaction = writer(&pool, tenant, 1 + usize::try_from(round % 3).unwrap()).await;
                // Between one and seven milliseconds, so that transactions end in another order than they began.
                let pause = format!("select pg_sleep({})", 0.001 * ((n * 5 + round * 3) % 7 + 1) as f64);
                transaction.execute(AssertSqlSafe(pause)).await.unwrap();
                if (n + round) % 11 == 0 {
                    transaction.rollback().await.unwrap();
                } else {
                    transaction.commit().await.unwrap();
                }
            }
        });
    }
    let (mut seen, mut pages_with_writers) = (Vec::new(), 0);
    loop {
        let is_last = writers.is_empty();
        let page = read(&pool, tenant(0), seen.last().copied().unwrap_or_default()).await;
        pages_with_writers += usize::from(!is_last && !page.is_empty());
        seen.extend(page);
        if is_last {
            break;
        }
        while let Some(ended) = writers.try_join_next() {
            ended.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(seen.is_sorted_by(|one, next| one < next), "{seen:?}");
    let all = "select coalesce(array_agg(seq order by seq), '{}') from events where tenant_id = $1";
    #[expect(clippy::disallowed_methods, reason = "a test reads the table directly")]
    let all: Vec<i64> = sqlx::query_scalar(all).bind(tenant(0).0).fetch_one(&pool).await.unwrap();
    assert_eq!(seen, all, "every event once, in the order of its number");
    assert!(pages_with_writers > 10, "the reader read {pages_with_writers} pages beside the writers");
}
