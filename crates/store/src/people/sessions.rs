//! Table `sessions`: logins of users, with the hashes of their cookies and refresh tokens.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use regua_domain::{Email, SessionEnd, SessionId, SessionKind, TenantId, UserId, UserRole};
use sqlx::{Error, PgConnection};

/// A session to store.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct NewSession<'a> {
    pub tenant_id: TenantId,
    pub session_id: SessionId,
    pub user_id: UserId,
    pub kind: SessionKind,
    /// SHA-256.
    pub secret_hash: &'a [u8],
    pub client: Option<IpAddr>,
    pub user_agent: Option<&'a str>,
    pub expires_at: DateTime<Utc>,
}

/// A session with its user, as each request checks it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the tables' columns")]
pub struct Session {
    pub user_id: UserId,
    pub email: Email,
    pub role: UserRole,
    pub kind: SessionKind,
    /// SHA-256 of the current secret.
    pub secret_hash: Vec<u8>,
    pub expires_at: DateTime<Utc>,
    /// Accurate to a minute.
    pub last_used_at: DateTime<Utc>,
    /// Neither the session has ended, nor is its user disabled or its tenant suspended.
    pub active: bool,
}

/// Stores a session.
pub async fn create(conn: &mut PgConnection, session: &NewSession<'_>, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "insert into sessions (tenant_id, session_id, user_id, kind, secret_hash, client, user_agent, created_at,
                               last_used_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)",
        session.tenant_id as TenantId,
        session.session_id as SessionId,
        session.user_id as UserId,
        session.kind as SessionKind,
        session.secret_hash,
        session.client.map(IpNetwork::from),
        session.user_agent,
        now,
        session.expires_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A session and its user.
pub async fn get(conn: &mut PgConnection, tenant: TenantId, session: SessionId) -> Result<Option<Session>, Error> {
    sqlx::query_as!(
        Session,
        r#"select s.user_id, u.email as "email: Email", u.role as "role: UserRole", s.kind as "kind: SessionKind",
                  s.secret_hash, s.expires_at, s.last_used_at,
                  s.ended_at is null and u.active and t.status = 'active' as "active!"
           from sessions s join users u using (tenant_id, user_id) join tenants t using (tenant_id)
           where s.tenant_id = $1 and s.session_id = $2"#,
        tenant as TenantId,
        session as SessionId
    )
    .fetch_optional(conn)
    .await
}

/// A session and its user; the session is locked until the transaction ends.
pub async fn lock(conn: &mut PgConnection, tenant: TenantId, session: SessionId) -> Result<Option<Session>, Error> {
    sqlx::query!(
        "select session_id from sessions where tenant_id = $1 and session_id = $2 for no key update",
        tenant as TenantId,
        session as SessionId
    )
    .fetch_optional(&mut *conn)
    .await?;
    get(conn, tenant, session).await
}

/// Sets `last_used_at` to now.
pub async fn record_use(
    conn: &mut PgConnection,
    tenant: TenantId,
    session: SessionId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update sessions set last_used_at = $3 where tenant_id = $1 and session_id = $2",
        tenant as TenantId,
        session as SessionId,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The hashes of a session's former secrets, the latest first.
pub async fn spent_hashes(
    conn: &mut PgConnection,
    tenant: TenantId,
    session: SessionId,
) -> Result<Vec<Vec<u8>>, Error> {
    let hashes = sqlx::query_scalar!(
        "select spent_hashes from sessions where tenant_id = $1 and session_id = $2",
        tenant as TenantId,
        session as SessionId
    )
    .fetch_optional(conn)
    .await?;
    Ok(hashes.unwrap_or_default())
}

/// Replaces a session's secret. The latest two hundred former hashes are stored, more than a correct client uses in a
/// day; more would make the row grow without limit.
pub async fn rotate(
    conn: &mut PgConnection,
    tenant: TenantId,
    session: SessionId,
    secret_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update sessions set spent_hashes = (array[secret_hash] || spent_hashes)[1:200], secret_hash = $3, last_used_at = $4
         where tenant_id = $1 and session_id = $2",
        tenant as TenantId,
        session as SessionId,
        secret_hash,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends one session, or all sessions of the user (`session` none); returns how many.
pub async fn end(
    conn: &mut PgConnection,
    tenant: TenantId,
    user: UserId,
    session: Option<SessionId>,
    ended_by: SessionEnd,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let ended = sqlx::query!(
        "update sessions set ended_at = $4, ended_by = $5
         where tenant_id = $1 and user_id = $2 and ($3::uuid is null or session_id = $3) and ended_at is null",
        tenant as TenantId,
        user as UserId,
        session as Option<SessionId>,
        now,
        ended_by as SessionEnd
    )
    .execute(conn)
    .await?;
    Ok(ended.rows_affected())
}

/// Whether the user has logged in from this network since `since`.
pub async fn is_known_network(
    conn: &mut PgConnection,
    tenant: TenantId,
    user: UserId,
    network: IpNetwork,
    since: DateTime<Utc>,
) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"select exists (select from sessions
                          where tenant_id = $1 and user_id = $2 and client <<= $3 and created_at > $4) as "exists!""#,
        tenant as TenantId,
        user as UserId,
        network,
        since
    )
    .fetch_one(conn)
    .await
}
