//! The claim's plan: it must walk `contacts_claimable`, whatever else the table holds.

use regua_tests::Database;

#[tokio::test(flavor = "multi_thread")]
async fn the_claim_walks_its_partial_index_in_order() {
    let database = Database::fresh().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let run = |statement: &'static str| sqlx::AssertSqlSafe(statement);
    for statement in [include_str!("plan_rows.sql"), "analyze"] {
        sqlx::raw_sql(run(statement)).execute(&mut *conn).await.unwrap();
    }
    #[expect(clippy::disallowed_methods, reason = "a test looks at the plan directly")]
    let plan: Vec<String> =
        sqlx::query_scalar(run(include_str!("plan_claim.sql"))).fetch_all(&mut *conn).await.unwrap();
    let plan = plan.join("\n");
    assert!(plan.contains("Index Scan using contacts_claimable"), "{plan}");
    let between =
        plan.split("LockRows").nth(1).unwrap_or_default().split("contacts_claimable").next().unwrap_or_default();
    assert!(!between.contains("Sort"), "the index gives the order: {plan}");
}
