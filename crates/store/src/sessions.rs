//! Table `sessions`: logins of people, and the hashes of what they show for them.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use regua_domain::{SessionId, TenantId, UserId};
use sqlx::{Error, PgConnection};

/// A session to be stored.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// Whose user it is.
    pub tenant_id: TenantId,
    /// Its id.
    pub session_id: SessionId,
    /// Who.
    pub user_id: UserId,
    /// `console` or `api`.
    pub kind: &'a str,
    /// SHA-256 of its secret.
    pub secret_hash: &'a [u8],
    /// Where it was opened.
    pub client: Option<IpAddr>,
    /// By which program.
    pub user_agent: Option<&'a str>,
    /// Not good from then on.
    pub expires_at: DateTime<Utc>,
}

/// A session with its user, as every request looks at it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who.
    pub user_id: UserId,
    /// Who.
    pub email: String,
    /// What they may do.
    pub role: String,
    /// `console` or `api`.
    pub kind: String,
    /// SHA-256 of the secret that is good now.
    pub secret_hash: Vec<u8>,
    /// Not good from then on.
    pub expires_at: DateTime<Utc>,
    /// Last request, to the minute.
    pub last_used_at: DateTime<Utc>,
    /// Neither ended, nor its user or tenant switched off.
    pub active: bool,
}

/// Opens a session.
///
/// # Errors
/// The database's.
pub async fn create(conn: &mut PgConnection, session: &NewSession<'_>, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "insert into sessions (tenant_id, session_id, user_id, kind, secret_hash, client, user_agent, created_at,
                               last_used_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)",
        session.tenant_id.0,
        session.session_id.0,
        session.user_id.0,
        session.kind,
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
///
/// # Errors
/// The database's.
pub async fn get(conn: &mut PgConnection, tenant: TenantId, session: SessionId) -> Result<Option<Session>, Error> {
    sqlx::query_as!(
        Session,
        r#"select s.user_id, u.email, u.role, s.kind, s.secret_hash, s.expires_at,
                  s.last_used_at, s.ended_at is null and u.active and t.status = 'active' as "active!"
           from sessions s join users u using (tenant_id, user_id) join tenants t using (tenant_id)
           where s.tenant_id = $1 and s.session_id = $2"#,
        tenant.0,
        session.0
    )
    .fetch_optional(conn)
    .await
}

/// The same, and nobody else rotates it meanwhile.
///
/// # Errors
/// The database's.
pub async fn lock(conn: &mut PgConnection, tenant: TenantId, session: SessionId) -> Result<Option<Session>, Error> {
    sqlx::query!(
        "select session_id from sessions where tenant_id = $1 and session_id = $2 for no key update",
        tenant.0,
        session.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    get(conn, tenant, session).await
}

/// Notes that a session was used.
///
/// # Errors
/// The database's.
pub async fn used(
    conn: &mut PgConnection,
    tenant: TenantId,
    session: SessionId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update sessions set last_used_at = $3 where tenant_id = $1 and session_id = $2",
        tenant.0,
        session.0,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The hashes of a session's latest secrets that are spent, the latest first.
///
/// # Errors
/// The database's.
pub async fn spent(conn: &mut PgConnection, tenant: TenantId, session: SessionId) -> Result<Vec<Vec<u8>>, Error> {
    let row =
        sqlx::query!("select spent_hashes from sessions where tenant_id = $1 and session_id = $2", tenant.0, session.0)
            .fetch_optional(conn)
            .await?;
    Ok(row.map(|row| row.spent_hashes).unwrap_or_default())
}

/// Gives a session a new secret; the one before is spent. Two hundred are remembered, a day and more of a program that
/// refreshes as it should, so that the row does not grow.
///
/// # Errors
/// The database's.
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
        tenant.0,
        session.0,
        secret_hash,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends one session, or all of a user (`session` none); answers how many.
///
/// # Errors
/// The database's.
pub async fn end(
    conn: &mut PgConnection,
    tenant: TenantId,
    user: UserId,
    session: Option<SessionId>,
    ended_by: &str,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let ended = sqlx::query!(
        "update sessions set ended_at = $4, ended_by = $5
         where tenant_id = $1 and user_id = $2 and ($3::uuid is null or session_id = $3) and ended_at is null",
        tenant.0,
        user.0,
        session.map(|session| session.0),
        now,
        ended_by
    )
    .execute(conn)
    .await?;
    Ok(ended.rows_affected())
}

/// Whether a user opened a session from this network since then.
///
/// # Errors
/// The database's.
pub async fn is_known_from(
    conn: &mut PgConnection,
    tenant: TenantId,
    user: UserId,
    network: IpNetwork,
    since: DateTime<Utc>,
) -> Result<bool, Error> {
    let row = sqlx::query!(
        r#"select exists (select from sessions
                          where tenant_id = $1 and user_id = $2 and client <<= $3 and created_at > $4) as "exists!""#,
        tenant.0,
        user.0,
        network,
        since
    )
    .fetch_one(conn)
    .await?;
    Ok(row.exists)
}
