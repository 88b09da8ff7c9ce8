//! The harness's private servers behave as other tests assume.

use regua_tests::Postgres;
use sqlx::{Connection, Executor, PgConnection};

async fn executes(url: &str, statement: &'static str) -> Result<u64, sqlx::Error> {
    Ok(PgConnection::connect(url).await?.execute(statement).await?.rows_affected())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_postgresql_keeps_committed_rows_and_replica_has_them() {
    let Some(mut primary) = Postgres::try_start().await else { return };
    executes(&primary.url(), "create table durable (n int)").await.unwrap();
    primary.kill().await;
    assert!(executes(&primary.url(), "select 1").await.is_err(), "the server is down");
    primary.start_again().await;
    let mut replica = primary.replica().await;
    assert_eq!(executes(&primary.url(), "insert into durable values (1), (2)").await.unwrap(), 2);
    primary.kill().await;
    assert!(executes(&replica.url(), "insert into durable values (3)").await.is_err(), "a replica is read-only");
    replica.promote().await;
    assert_eq!(executes(&replica.url(), "delete from durable").await.unwrap(), 2);
    replica.stop().await;
    replica.start_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_refuses_writes_until_space_is_freed() {
    let Some(server) = Postgres::with_small_disk().await else { return };
    executes(&server.url(), "create table filled (text text)").await.unwrap();
    server.fill_disk().await;
    let insert = "insert into filled select repeat('x', 900) from generate_series(1, 1000)";
    let refused = executes(&server.url(), insert).await.unwrap_err();
    assert_eq!(refused.as_database_error().and_then(|error| error.code()).as_deref(), Some("53100"), "{refused}");
    server.free_disk().await;
    assert_eq!(executes(&server.url(), insert).await.unwrap(), 1000);
}
