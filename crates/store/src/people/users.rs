//! Table `users`: the users of a tenant. Of passwords, invitations and recovery codes only hashes are stored.

mod credentials;

use chrono::{DateTime, Utc};
use regua_domain::{Email, TenantId, UserId, UserRole};
use serde::{Deserialize, Serialize};
use sqlx::{Error, PgConnection};

pub use credentials::{Credentials, accept_invitation, credentials, record_login, set_password, set_totp};

// A user, for the owners of the tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct User {
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub user_id: UserId,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub email: Email,
    pub name: String,
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub role: UserRole,
    pub active: bool,
    /// Whether the user has not set a password yet.
    pub invited: bool,
    /// Whether a login needs a second factor.
    #[serde(rename = "totp")]
    pub has_totp: bool,
    pub last_login_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// A user to invite.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct NewUser<'a> {
    pub tenant_id: TenantId,
    pub user_id: UserId,
    pub email: &'a Email,
    pub name: &'a str,
    pub role: UserRole,
    /// SHA-256 of the invitation's secret.
    pub invitation_hash: &'a [u8],
    pub invitation_expires_at: DateTime<Utc>,
}

/// Stores a user; false when the tenant has a user with the address.
pub async fn create(conn: &mut PgConnection, user: &NewUser<'_>, now: DateTime<Utc>) -> Result<bool, Error> {
    let inserted = sqlx::query!(
        "insert into users (tenant_id, user_id, email, name, role, invitation_hash, invitation_expires_at, created_at,
                            updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8) on conflict (tenant_id, email) do nothing",
        user.tenant_id as TenantId,
        user.user_id as UserId,
        user.email as &Email,
        user.name,
        user.role as UserRole,
        user.invitation_hash,
        user.invitation_expires_at,
        now
    )
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// The tenant's users by e-mail address, or one of them.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, one: Option<UserId>) -> Result<Vec<User>, Error> {
    sqlx::query_as!(
        User,
        r#"select user_id, email as "email: Email", name, role as "role: UserRole", active,
                  password_hash is null as "invited!", totp_confirmed as has_totp, last_login_at, created_at
           from users where tenant_id = $1 and ($2::uuid is null or user_id = $2) order by email"#,
        tenant as TenantId,
        one as Option<UserId>
    )
    .fetch_all(conn)
    .await
}

/// One user, locked until the transaction ends.
pub async fn lock(conn: &mut PgConnection, tenant: TenantId, user: UserId) -> Result<Option<User>, Error> {
    sqlx::query!(
        "select user_id from users where tenant_id = $1 and user_id = $2 for no key update",
        tenant as TenantId,
        user as UserId
    )
    .fetch_optional(&mut *conn)
    .await?;
    Ok(list(conn, tenant, Some(user)).await?.pop())
}

/// Serializes changes of a tenant's users, so that two owners cannot demote each other at the same time. It comes
/// before the lock of a user.
pub async fn lock_user_changes(conn: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('users of ' || $1, 0))", tenant.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// The number of other users that can log in as owner or platform.
pub async fn count_other_owners(conn: &mut PgConnection, tenant: TenantId, user: UserId) -> Result<i64, Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from users
           where tenant_id = $1 and user_id <> $2 and active and role in ('owner', 'platform') and password_hash is not null"#,
        tenant as TenantId,
        user as UserId
    )
    .fetch_one(conn)
    .await
}

/// Sets a user's name, role and `active`.
pub async fn update(conn: &mut PgConnection, tenant: TenantId, user: &User, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "update users set name = $3, role = $4, active = $5, updated_at = $6 where tenant_id = $1 and user_id = $2",
        tenant as TenantId,
        user.user_id as UserId,
        user.name,
        user.role as UserRole,
        user.active,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores a new invitation, and deletes the user's password and second factor.
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
        tenant as TenantId,
        user as UserId,
        invitation_hash,
        expires_at,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}
