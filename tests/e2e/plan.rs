//! The plans of the send path. PostgreSQL's statistics show what a statement read, with and without planner statistics
//! of the table: the claim reads one batch from its two indexes, the mark its contacts by the primary key, and the change
//! of counts each queue once.

use regua_domain::{AttemptId, ContactId, ContactStatus, QueueId, TenantId};
use regua_store::attempts::AttemptKey;
use regua_store::contacts::{self, NewAttempt, Quota};
use regua_store::queues::{ContactMove, record_moves};
use regua_tests::Database;
use sqlx::PgConnection;

const CLAIMS: usize = 8;
const BATCH: usize = 60;
/// Requeued contacts among the queue's 5,000; each claim returns them first.
const REQUEUED: usize = 44;

#[tokio::test(flavor = "multi_thread")]
async fn claim_reads_one_batch_from_its_two_indexes_only() {
    let database = Database::fresh().await;
    let mut conn = database.pool.acquire().await.unwrap();
    run(&mut conn, include_str!("plan_rows.sql")).await;
    for statistics in ["select 'stale'", "analyze"] {
        run(&mut conn, statistics).await;
        let before = read(&mut conn).await;
        let tenant = TenantId("00000000-0000-0000-0000-000000000001".parse().unwrap());
        let queue = QueueId("00000000-0000-0000-0001-000000000003".parse().unwrap());
        let now = regua_boot::Clock::system().now();
        // Several times, because the first plan is cached.
        for _ in 0..CLAIMS {
            let batch = i32::try_from(BATCH).unwrap();
            let claimed =
                contacts::claim(&mut conn, &[Quota { tenant_id: tenant, queue_id: queue, quota: batch }], now)
                    .await
                    .unwrap();
            assert_eq!(claimed.len(), BATCH);
            assert_eq!(claimed.iter().filter(|contact| contact.position.is_none()).count(), REQUEUED);
            let positions: Vec<_> = claimed.iter().filter_map(|contact| contact.position).collect();
            assert!(positions.is_sorted() && positions[0] == 4500, "{positions:?}");
        }
        let after = read(&mut conn).await;
        assert_eq!(after.sequential, before.sequential, "the claim read the whole table");
        let (requeued, in_order) = (after.requeued - before.requeued, after.in_order - before.in_order);
        assert!((1..=CLAIMS * BATCH).contains(&requeued), "{requeued} entries of contacts_requeued");
        assert!((1..=CLAIMS * BATCH).contains(&in_order), "{in_order} entries of contacts_of_queue");
        assert_eq!(after.others, before.others, "other indexes of contacts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mark_reads_its_contacts_by_primary_key_and_writes_no_index() {
    let database = Database::fresh().await;
    let mut conn = database.pool.acquire().await.unwrap();
    run(&mut conn, include_str!("plan_rows.sql")).await;
    for (statistics, first) in [("select 'stale'", 4500), ("analyze", 4500 + CLAIMS * BATCH / 2)] {
        run(&mut conn, statistics).await;
        let before = updates(&mut conn).await;
        let now = regua_boot::Clock::system().now();
        for n in 0..CLAIMS / 2 {
            let attempts: Vec<_> = (0..BATCH)
                .map(|place| NewAttempt { key: key_of(first + n * BATCH + place, now), number: 1, lease_epoch: 1 })
                .collect();
            assert_eq!(contacts::mark_sending(&mut conn, "worker", &attempts, now).await.unwrap().len(), BATCH);
        }
        let after = updates(&mut conn).await;
        let marked = CLAIMS / 2 * BATCH;
        assert_eq!(after.sequential, before.sequential, "the mark read the whole table");
        assert_eq!(after.others, before.others, "other indexes of contacts");
        let by_key = after.by_key - before.by_key;
        assert!((marked..=2 * marked).contains(&by_key), "{by_key} entries of contacts_pkey for {marked} contacts");
        assert_eq!((after.all - before.all, after.hot - before.hot), (marked, marked), "updates, and HOT updates");
    }
}

/// The planner counted ten queues, and now the tenant has 310: an index of the tenant's queues looks as cheap as the key.
#[tokio::test(flavor = "multi_thread")]
async fn change_of_counts_reads_each_queue_once() {
    let database = Database::fresh().await;
    let mut conn = database.pool.acquire().await.unwrap();
    run(&mut conn, include_str!("plan_rows.sql")).await;
    run(&mut conn, "analyze").await;
    run(&mut conn, include_str!("plan_queues.sql")).await;
    for statistics in ["select 'stale'", "analyze"] {
        run(&mut conn, statistics).await;
        let before = queues_read(&mut conn).await;
        let moves: Vec<_> = (11..=310).map(first_contact_sent).collect();
        record_moves(&mut conn, &moves, regua_boot::Clock::system().now()).await.unwrap();
        let read = queues_read(&mut conn).await - before;
        assert!((300..=310).contains(&read), "{read} index entries for 300 queues");
    }
}

fn first_contact_sent(queue: usize) -> ContactMove {
    ContactMove {
        tenant_id: TenantId("00000000-0000-0000-0000-000000000001".parse().unwrap()),
        queue_id: QueueId(format!("00000000-0000-0000-0001-{queue:012}").parse().unwrap()),
        contact_id: ContactId(format!("00000000-0000-0000-{queue:04}-000000000001").parse().unwrap()),
        from: ContactStatus::Pending,
        to: ContactStatus::Sent,
    }
}

/// Entries read from the indexes of `queues`.
async fn queues_read(conn: &mut PgConnection) -> i64 {
    run(conn, "select pg_stat_force_next_flush()").await;
    #[expect(clippy::disallowed_methods, reason = "a test looks at the statistics directly")]
    let (read,) = sqlx::query_as("select sum(idx_tup_read)::bigint from pg_stat_user_indexes where relname = 'queues'")
        .fetch_one(conn)
        .await
        .unwrap();
    read
}

/// The key of a contact of the third queue, with a new attempt.
fn key_of(place: usize, now: chrono::DateTime<chrono::Utc>) -> AttemptKey {
    AttemptKey {
        tenant: TenantId("00000000-0000-0000-0000-000000000001".parse().unwrap()),
        contact: ContactId(format!("00000000-0000-0000-0003-{place:012}").parse().unwrap()),
        attempt: AttemptId::new(now),
    }
}

struct Updates {
    sequential: i64,
    by_key: usize,
    others: i64,
    all: usize,
    hot: usize,
}

async fn updates(conn: &mut PgConnection) -> Updates {
    run(conn, "select pg_stat_force_next_flush()").await;
    #[expect(clippy::disallowed_methods, reason = "a test looks at the statistics directly")]
    let (sequential, all, hot, by_key, others): (i64, i64, i64, i64, i64) = sqlx::query_as(
        "select t.seq_tup_read, t.n_tup_upd, t.n_tup_hot_upd,
                (select sum(idx_tup_read) filter (where indexrelname = 'contacts_pkey')::bigint
                 from pg_stat_user_indexes where relname = 'contacts'),
                (select sum(idx_tup_read) filter (where indexrelname <> 'contacts_pkey')::bigint
                 from pg_stat_user_indexes where relname = 'contacts')
         from pg_stat_user_tables t where t.relname = 'contacts'",
    )
    .fetch_one(conn)
    .await
    .unwrap();
    let count = |entries| usize::try_from(entries).unwrap();
    Updates { sequential, by_key: count(by_key), others, all: count(all), hot: count(hot) }
}

struct Read {
    sequential: i64,
    requeued: usize,
    in_order: usize,
    others: i64,
}

async fn run(conn: &mut PgConnection, statement: &'static str) {
    sqlx::raw_sql(statement).execute(conn).await.unwrap();
}

async fn read(conn: &mut PgConnection) -> Read {
    run(conn, "select pg_stat_force_next_flush()").await;
    #[expect(clippy::disallowed_methods, reason = "a test looks at the statistics directly")]
    let (sequential, requeued, in_order, others): (i64, i64, i64, i64) = sqlx::query_as(
        "select (select coalesce(seq_tup_read, 0) from pg_stat_user_tables where relname = 'contacts'),
                sum(idx_tup_read) filter (where indexrelname = 'contacts_requeued')::bigint,
                sum(idx_tup_read) filter (where indexrelname = 'contacts_of_queue')::bigint,
                sum(idx_tup_read) filter (where indexrelname not in ('contacts_requeued', 'contacts_of_queue'))::bigint
         from pg_stat_user_indexes where relname = 'contacts'",
    )
    .fetch_one(conn)
    .await
    .unwrap();
    let count = |entries| usize::try_from(entries).unwrap();
    Read { sequential, requeued: count(requeued), in_order: count(in_order), others }
}
