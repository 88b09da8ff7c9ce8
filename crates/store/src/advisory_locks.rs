//! Advisory locks: one replica at a time, without a table.

use sqlx::{Error, PgConnection};

/// The first key of all of ours, so that they do not meet those of other programs in the same database.
const SPACE: i32 = 0x5265_6761;

/// Takes the lock until the transaction ends; false when somebody else has it.
///
/// # Errors
/// The database's.
pub async fn try_for_transaction(conn: &mut PgConnection, lock: i32) -> Result<bool, Error> {
    let row =
        sqlx::query!(r#"select pg_try_advisory_xact_lock($1, $2) as "taken!""#, SPACE, lock).fetch_one(conn).await?;
    Ok(row.taken)
}
