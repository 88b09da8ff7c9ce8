//! Leases that ran out and that nobody took over, for people to see.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;
use sqlx::{Error, PgConnection};

/// How many leases ran out longer than `since` ago and were not taken over; nothing is rung for.
///
/// # Errors
/// The database's.
pub async fn count_expired(conn: &mut PgConnection, since: Duration) -> Result<i64, Error> {
    let since = PgInterval::try_from(since).map_err(Error::Encode)?;
    let row = sqlx::query!(
        r#"select count(*) as "count!" from lanes
           where leased_by is not null and lease_expires_at < now() - $1::interval"#,
        since
    )
    .fetch_one(conn)
    .await?;
    Ok(row.count)
}
