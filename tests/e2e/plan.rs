//! The claim's plan. PostgreSQL's own statistics tell what the real statement read: a batch off `contacts_claimable`, and
//! nothing else, whatever the table holds.

use regua_domain::{QueueId, TenantId};
use regua_store::contacts;
use regua_tests::Database;
use sqlx::PgConnection;

#[tokio::test(flavor = "multi_thread")]
async fn the_claim_reads_a_batch_off_its_partial_index_and_nothing_else() {
    let database = Database::fresh().await;
    let mut conn = database.pool.acquire().await.unwrap();
    for statement in [include_str!("plan_rows.sql"), "analyze", "select pg_stat_force_next_flush()"] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *conn).await.unwrap();
    }
    let before = read(&mut conn).await;

    let tenant = TenantId("00000000-0000-0000-0000-000000000001".parse().unwrap());
    let queue = QueueId("00000000-0000-0000-0001-000000000003".parse().unwrap());
    let now = regua_boot::Clock::system().now();
    // As often as makes PostgreSQL try its generic plan, too.
    for _ in 0..8 {
        let claimed = contacts::claim(&mut conn, tenant, 1, &[queue], &[20], now).await.unwrap();
        assert_eq!(claimed.len(), 20);
        assert!(claimed.is_sorted_by_key(|contact| contact.due_at));
    }

    let after = read(&mut conn).await;
    assert_eq!(after.sequential, before.sequential, "the claim read the whole table");
    // Rows that an earlier claim has taken are passed over until they are vacuumed, so a little more than 8 × 20.
    let claimable = after.claimable - before.claimable;
    assert!((160..1000).contains(&claimable), "{claimable} entries of contacts_claimable");
    let others = after.others - before.others;
    assert!(others <= 400, "{others} entries of other indexes");
}

struct Read {
    sequential: i64,
    claimable: i64,
    others: i64,
}

async fn read(conn: &mut PgConnection) -> Read {
    sqlx::raw_sql("select pg_stat_force_next_flush()").execute(&mut *conn).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test looks at the statistics directly")]
    let (sequential, claimable, others) = sqlx::query_as(
        "select (select coalesce(seq_tup_read, 0) from pg_stat_user_tables where relname = 'contacts'),
                sum(idx_tup_read) filter (where indexrelname = 'contacts_claimable')::bigint,
                sum(idx_tup_read) filter (where indexrelname <> 'contacts_claimable')::bigint
         from pg_stat_user_indexes where relname = 'contacts'",
    )
    .fetch_one(conn)
    .await
    .unwrap();
    Read { sequential, claimable, others }
}
