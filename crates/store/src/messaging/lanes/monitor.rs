//! Leases that have expired and that no worker has taken over, for operators.

use std::time::Duration;

use sqlx::{Error, PgConnection};

/// The number of leases that expired longer than `since` ago.
pub async fn count_expired(conn: &mut PgConnection, since: Duration) -> Result<i64, Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from lanes
           where leased_by is not null and lease_expires_at < now() - $1::interval"#,
        since as Duration
    )
    .fetch_one(conn)
    .await
}
