//! What the PostgreSQL server says of itself: its version, and whether it keeps what it was told.

use sqlx::{Error, PgConnection};

/// A server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Such as 150004 for 15.4.
    pub version_number: i32,
    /// For people.
    pub version: String,
    /// Off: a crash of the machine may lose or damage what was committed.
    pub fsync: bool,
    /// Off: a crash may lose what was committed last, and a message that was marked could be sent again.
    pub synchronous_commit: bool,
    /// Off: a crash of the machine may damage pages.
    pub full_page_writes: bool,
}

/// Asks the server about itself.
///
/// # Errors
/// The database's.
pub async fn about(conn: &mut PgConnection) -> Result<Server, Error> {
    let row = sqlx::query!(
        r#"select current_setting('server_version_num')::integer as "version_number!",
                  current_setting('server_version') as "version!",
                  current_setting('fsync')::boolean as "fsync!",
                  current_setting('synchronous_commit') as "synchronous_commit!",
                  current_setting('full_page_writes')::boolean as "full_page_writes!""#
    )
    .fetch_one(conn)
    .await?;
    Ok(Server {
        version_number: row.version_number,
        version: row.version,
        fsync: row.fsync,
        synchronous_commit: row.synchronous_commit != "off",
        full_page_writes: row.full_page_writes,
    })
}
