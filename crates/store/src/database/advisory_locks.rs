//! Advisory locks: one replica at a time, without a table.

use sqlx::{Error, PgConnection};

/// The first key of every lock, which keeps them apart from those of other programs in the same database.
const SPACE: i32 = 0x5265_6761;

/// Acquires the lock until the transaction ends; false when another transaction holds it.
pub async fn try_for_transaction(conn: &mut PgConnection, lock: i32) -> Result<bool, Error> {
    sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1, $2) as "is_acquired!""#, SPACE, lock)
        .fetch_one(conn)
        .await
}
