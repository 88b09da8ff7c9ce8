//! The PostgreSQL server: version, durability settings, positions in the write-ahead log, and the state in which a
//! pooler gives out a session.

use sqlx::{Error, PgConnection};

/// A server and its durability settings.
#[derive(Clone, Debug)]
pub struct Server {
    /// Such as 150004 for 15.4.
    pub version_number: i32,
    /// For people.
    pub version: String,
    /// Off: a crash of the machine may lose or damage committed data.
    pub fsync: bool,
    /// Off: a crash may lose the last commits, so that a marked message could be sent again.
    pub synchronous_commit: bool,
    /// Off: a crash of the machine may damage pages.
    pub full_page_writes: bool,
}

/// The server of the connection.
pub async fn about(conn: &mut PgConnection) -> Result<Server, Error> {
    sqlx::query_as!(
        Server,
        r#"select current_setting('server_version_num')::integer as "version_number!",
                  current_setting('server_version') as "version!",
                  current_setting('fsync')::boolean as "fsync!",
                  current_setting('synchronous_commit') <> 'off' as "synchronous_commit!",
                  current_setting('full_page_writes')::boolean as "full_page_writes!""#
    )
    .fetch_one(conn)
    .await
}

/// The end of the primary's write-ahead log, in bytes: every earlier commit is below. A replica refuses the question.
pub async fn wal_position(conn: &mut PgConnection) -> Result<i64, Error> {
    sqlx::query_scalar!(r#"select (pg_current_wal_lsn() - '0/0')::bigint as "position!""#).fetch_one(conn).await
}

/// How far a replica has replayed that log, in bytes; none: the server is no replica.
pub async fn replayed_position(conn: &mut PgConnection) -> Result<Option<i64>, Error> {
    sqlx::query_scalar!(
        "select case when pg_is_in_recovery() then (pg_last_wal_replay_lsn() - '0/0')::bigint end as position"
    )
    .fetch_one(conn)
    .await
}

/// The state of a session that a pooler gives out.
#[derive(Clone, Debug)]
pub struct SessionState {
    /// Time limits that are off.
    pub unlimited: Vec<String>,
    /// Statements that another client's transaction has prepared and not deallocated.
    pub left_behind: i64,
}

/// The state of this transaction's session.
pub async fn session_state(conn: &mut PgConnection) -> Result<SessionState, Error> {
    sqlx::query_as!(
        SessionState,
        r#"select array(select name from pg_settings where setting = '0' and name in
                     ('idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout')) as "unlimited!",
                  (select count(*) from pg_prepared_statements where statement not like '%left_behind%')
                     as "left_behind!""#
    )
    .fetch_one(conn)
    .await
}
