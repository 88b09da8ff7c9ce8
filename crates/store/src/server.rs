//! What the PostgreSQL server says of itself: its version, whether it keeps what it was told, how far its log of changes
//! reaches, and what a pooler has made of the session.

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

/// Where the primary's log of changes ends: whatever was committed before stands below.
///
/// # Errors
/// The database's; a replica refuses.
pub async fn written(conn: &mut PgConnection) -> Result<i64, Error> {
    let row = sqlx::query!(r#"select (pg_current_wal_lsn() - '0/0')::bigint as "position!""#).fetch_one(conn).await?;
    Ok(row.position)
}

/// How far a replica has followed that log; none where the server is no replica.
///
/// # Errors
/// The database's.
pub async fn replayed(conn: &mut PgConnection) -> Result<Option<i64>, Error> {
    let row = sqlx::query!(
        "select case when pg_is_in_recovery() then (pg_last_wal_replay_lsn() - '0/0')::bigint end as position"
    )
    .fetch_one(conn)
    .await?;
    Ok(row.position)
}

/// What a session has, which a pooler and not this program has set.
#[derive(Clone, Debug)]
pub struct Session {
    /// Time limits that are off.
    pub unlimited: Vec<String>,
    /// Statements that somebody else's transaction has prepared and left behind.
    pub left_behind: i64,
}

/// Looks at the session that this transaction has.
///
/// # Errors
/// The database's.
pub async fn session(conn: &mut PgConnection) -> Result<Session, Error> {
    let row = sqlx::query!(
        r#"select array(select name from pg_settings where setting = '0' and name in
                     ('idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout')) as "unlimited!",
                  (select count(*) from pg_prepared_statements where statement not like '%left_behind%')
                     as "left_behind!""#
    )
    .fetch_one(conn)
    .await?;
    Ok(Session { unlimited: row.unlimited, left_behind: row.left_behind })
}
