//! Table `users`: the people of a tenant. Of passwords, invitations and recovery codes only hashes are kept.

use std::fmt;

use chrono::{DateTime, Utc};
use regua_domain::{TenantId, UserId};
use sqlx::{Error, PgConnection};

/// A person, as others see them.
#[derive(Clone, Debug)]
pub struct User {
    /// Who.
    pub user_id: UserId,
    /// In lower case.
    pub email: String,
    /// For people.
    pub name: String,
    /// What they may do.
    pub role: String,
    /// Not switched off.
    pub active: bool,
    /// Whether the invitation still waits.
    pub invited: bool,
    /// Whether a second factor is asked for.
    pub has_totp: bool,
    /// The last time that they came in.
    pub last_login_at: Option<DateTime<Utc>>,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// What a login is checked against. Debug shows nothing of it.
#[derive(Clone)]
pub struct Credentials {
    /// Who.
    pub user_id: UserId,
    /// In lower case.
    pub email: String,
    /// What they may do.
    pub role: String,
    /// Not switched off, nor the tenant.
    pub active: bool,
    /// Argon2id; none until the invitation was accepted.
    pub password_hash: Option<String>,
    /// SHA-256 of the invitation's secret.
    pub invitation_hash: Option<Vec<u8>>,
    /// Until when the invitation is good.
    pub invitation_expires_at: Option<DateTime<Utc>>,
    /// Sealed.
    pub totp_seed: Option<String>,
    /// Whether a code of it was shown.
    pub totp_confirmed: bool,
    /// The latest step whose code was taken.
    pub totp_step: i64,
    /// SHA-256 of each recovery code that was not used.
    pub recovery_hashes: Vec<Vec<u8>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// Somebody to be invited.
#[derive(Debug)]
pub struct NewUser<'a> {
    /// At which tenant.
    pub tenant_id: TenantId,
    /// Who.
    pub user_id: UserId,
    /// In lower case.
    pub email: &'a str,
    /// For people.
    pub name: &'a str,
    /// What they may do.
    pub role: &'a str,
    /// SHA-256 of the invitation's secret.
    pub invitation_hash: &'a [u8],
    /// Until when the invitation is good.
    pub invitation_expires_at: DateTime<Utc>,
}

/// Stores somebody; false where the tenant has one of that address.
///
/// # Errors
/// The database's.
pub async fn create(conn: &mut PgConnection, user: &NewUser<'_>, now: DateTime<Utc>) -> Result<bool, Error> {
    let inserted = sqlx::query!(
        "insert into users (tenant_id, user_id, email, name, role, invitation_hash, invitation_expires_at, created_at,
                            updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8) on conflict (tenant_id, email) do nothing",
        user.tenant_id.0,
        user.user_id.0,
        user.email,
        user.name,
        user.role,
        user.invitation_hash,
        user.invitation_expires_at,
        now
    )
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// A tenant's people by address.
///
/// # Errors
/// The database's.
pub async fn list(conn: &mut PgConnection, tenant: TenantId) -> Result<Vec<User>, Error> {
    sqlx::query_as!(
        User,
        r#"select user_id, email, name, role, active, password_hash is null as "invited!",
                  totp_confirmed as has_totp, last_login_at, created_at
           from users where tenant_id = $1 order by email"#,
        tenant.0
    )
    .fetch_all(conn)
    .await
}

/// One of them, whom nobody else changes meanwhile.
///
/// # Errors
/// The database's.
pub async fn lock(conn: &mut PgConnection, tenant: TenantId, user: UserId) -> Result<Option<User>, Error> {
    sqlx::query_as!(
        User,
        r#"select user_id, email, name, role, active, password_hash is null as "invited!",
                  totp_confirmed as has_totp, last_login_at, created_at
           from users where tenant_id = $1 and user_id = $2 for no key update"#,
        tenant.0,
        user.0
    )
    .fetch_optional(conn)
    .await
}

/// Has whoever changes people of this tenant wait for whoever does so now, so that two owners cannot take each other's rights
/// away at once. Before any of them is locked.
///
/// # Errors
/// The database's.
pub async fn in_turn(conn: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('users of ' || $1, 0))", tenant.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// How many can still come in as owner (or more) beside one.
///
/// # Errors
/// The database's.
pub async fn other_owners(conn: &mut PgConnection, tenant: TenantId, user: UserId) -> Result<i64, Error> {
    let row = sqlx::query!(
        r#"select count(*) as "count!" from users
           where tenant_id = $1 and user_id <> $2 and active and role in ('owner', 'platform') and password_hash is not null"#,
        tenant.0,
        user.0
    )
    .fetch_one(conn)
    .await?;
    Ok(row.count)
}

/// Sets what others may set.
///
/// # Errors
/// The database's.
pub async fn update(conn: &mut PgConnection, tenant: TenantId, user: &User, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "update users set name = $3, role = $4, active = $5, updated_at = $6 where tenant_id = $1 and user_id = $2",
        tenant.0,
        user.user_id.0,
        user.name,
        user.role,
        user.active,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Invites somebody anew: what they came in with before is gone.
///
/// # Errors
/// The database's.
pub async fn invite(
    conn: &mut PgConnection,
    tenant: TenantId,
    user: UserId,
    invitation_hash: &[u8],
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update users
         set invitation_hash = $3, invitation_expires_at = $4, password_hash = null, totp_seed = null,
             totp_confirmed = false, recovery_hashes = '{}', updated_at = $5
         where tenant_id = $1 and user_id = $2",
        tenant.0,
        user.0,
        invitation_hash,
        expires_at,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What somebody with this address is checked against.
///
/// # Errors
/// The database's.
pub async fn credentials(conn: &mut PgConnection, tenant: TenantId, email: &str) -> Result<Option<Credentials>, Error> {
    sqlx::query_as!(
        Credentials,
        r#"select u.user_id, u.email, u.role, u.active and t.status = 'active' as "active!",
                  u.password_hash, u.invitation_hash, u.invitation_expires_at, u.totp_seed, u.totp_confirmed,
                  u.totp_step, u.recovery_hashes
           from users u join tenants t using (tenant_id) where u.tenant_id = $1 and u.email = $2"#,
        tenant.0,
        email
    )
    .fetch_optional(conn)
    .await
}

/// Notes a login, and up to which step codes were taken; false where that code was taken meanwhile, or where what was checked
/// is not what stands there any more: the password, the second factor, or that the user is active.
///
/// # Errors
/// The database's.
pub async fn came_in(
    conn: &mut PgConnection,
    tenant: TenantId,
    checked: &Credentials,
    totp_step: Option<i64>,
    spent_recovery: Option<&[u8]>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let noted = sqlx::query!(
        "update users
         set last_login_at = $5, totp_step = coalesce($3, totp_step), recovery_hashes = array_remove(recovery_hashes, $4)
         where tenant_id = $1 and user_id = $2 and ($3::bigint is null or totp_step < $3)
           and ($4::bytea is null or $4 = any(recovery_hashes))
           and active and password_hash = $6 and totp_confirmed = $7",
        tenant.0,
        checked.user_id.0,
        totp_step,
        spent_recovery,
        now,
        checked.password_hash,
        checked.totp_confirmed
    )
    .execute(conn)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// Sets a password by an invitation, which is used up by it; false where somebody used it, or it was replaced, meanwhile.
///
/// # Errors
/// The database's.
pub async fn accept(
    conn: &mut PgConnection,
    tenant: TenantId,
    user: UserId,
    invitation_hash: Option<&[u8]>,
    password_hash: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let accepted = sqlx::query!(
        "update users
         set password_hash = $4, invitation_hash = null, invitation_expires_at = null, updated_at = $5
         where tenant_id = $1 and user_id = $2 and invitation_hash = $3",
        tenant.0,
        user.0,
        invitation_hash,
        password_hash,
        now
    )
    .execute(conn)
    .await?;
    Ok(accepted.rows_affected() == 1)
}

/// Sets a password in the place of the one that was checked; false where that one does not stand any more.
///
/// # Errors
/// The database's.
pub async fn set_password(
    conn: &mut PgConnection,
    tenant: TenantId,
    checked: &Credentials,
    password_hash: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let set = sqlx::query!(
        "update users set password_hash = $3, updated_at = $4
         where tenant_id = $1 and user_id = $2 and active and password_hash = $5",
        tenant.0,
        checked.user_id.0,
        password_hash,
        now,
        checked.password_hash
    )
    .execute(conn)
    .await?;
    Ok(set.rows_affected() == 1)
}

/// Sets the second factor's seed (none: there is no second factor), whether a code of it was shown, up to which step codes
/// were taken, and what helps when it is lost; false where what was checked does not stand any more.
///
/// # Errors
/// The database's.
pub async fn set_totp(
    conn: &mut PgConnection,
    tenant: TenantId,
    checked: &Credentials,
    seed: Option<&str>,
    confirmed_at_step: Option<i64>,
    recovery_hashes: &[Vec<u8>],
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let set = sqlx::query!(
        "update users
         set totp_seed = $3, totp_confirmed = $4::bigint is not null, totp_step = coalesce($4, 0), recovery_hashes = $5,
             updated_at = $6
         where tenant_id = $1 and user_id = $2 and active and password_hash = $7 and totp_confirmed = $8
           and totp_seed is not distinct from $9",
        tenant.0,
        checked.user_id.0,
        seed,
        confirmed_at_step,
        recovery_hashes,
        now,
        checked.password_hash,
        checked.totp_confirmed,
        checked.totp_seed
    )
    .execute(conn)
    .await?;
    Ok(set.rows_affected() == 1)
}
