//! The plan of the claim. PostgreSQL's statistics show what the statement read: one batch from its two indexes and
//! nothing else, with and without planner statistics of the table.

use regua_domain::{QueueId, TenantId};
use regua_store::contacts::{self, Quota};
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
