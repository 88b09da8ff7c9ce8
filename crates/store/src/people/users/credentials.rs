//! The credentials of a user: password, invitation and second factor. A change names the credentials that were checked,
//! and fails when they changed meanwhile.

use std::fmt;

use chrono::{DateTime, Utc};
use regua_domain::{Email, TenantId, UserId, UserRole};
use sqlx::{Error, PgConnection};

/// What a login checks. Debug shows only the user's id.
#[derive(Clone)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Credentials {
    pub user_id: UserId,
    pub email: Email,
    pub role: UserRole,
    /// Neither the user is disabled nor the tenant suspended.
    pub active: bool,
    /// Argon2id; none until the invitation is accepted.
    pub password_hash: Option<String>,
    /// SHA-256 of the invitation's secret.
    pub invitation_hash: Option<Vec<u8>>,
    pub invitation_expires_at: Option<DateTime<Utc>>,
    /// Sealed.
    pub totp_seed: Option<String>,
    /// The user has sent a correct code.
    pub totp_confirmed: bool,
    /// The time step of the last accepted code.
    pub totp_step: i64,
    /// SHA-256 of each unused recovery code.
    pub recovery_hashes: Vec<Vec<u8>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// The credentials of the user with this e-mail address.
pub async fn credentials(conn: &mut PgConnection, tenant: TenantId, email: &str) -> Result<Option<Credentials>, Error> {
    sqlx::query_as!(
        Credentials,
        r#"select u.user_id, u.email as "email: Email", u.role as "role: UserRole", u.active and t.status = 'active' as "active!",
                  u.password_hash, u.invitation_hash, u.invitation_expires_at, u.totp_seed, u.totp_confirmed,
                  u.totp_step, u.recovery_hashes
           from users u join tenants t using (tenant_id) where u.tenant_id = $1 and u.email = $2"#,
        tenant as TenantId,
        email
    )
    .fetch_optional(conn)
    .await
}

/// Records a login, and uses up its code: the time step, or the recovery code. False when another login used the code
/// meanwhile, or when password, second factor or `active` are no longer as checked.
pub async fn record_login(
    conn: &mut PgConnection,
    tenant: TenantId,
    checked: &Credentials,
    totp_step: Option<i64>,
    spent_recovery: Option<&[u8]>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let recorded = sqlx::query!(
        "update users
         set last_login_at = $5, totp_step = coalesce($3, totp_step), recovery_hashes = array_remove(recovery_hashes, $4)
         where tenant_id = $1 and user_id = $2 and ($3::bigint is null or totp_step < $3)
           and ($4::bytea is null or $4 = any(recovery_hashes))
           and active and password_hash = $6 and totp_confirmed = $7",
        tenant as TenantId,
        checked.user_id as UserId,
        totp_step,
        spent_recovery,
        now,
        checked.password_hash,
        checked.totp_confirmed
    )
    .execute(conn)
    .await?;
    Ok(recorded.rows_affected() == 1)
}

/// Sets the password of an invited user and deletes the invitation; false when it was used or replaced meanwhile.
pub async fn accept_invitation(
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
        tenant as TenantId,
        user as UserId,
        invitation_hash,
        password_hash,
        now
    )
    .execute(conn)
    .await?;
    Ok(accepted.rows_affected() == 1)
}

/// Replaces the password; false when the checked one changed meanwhile.
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
        tenant as TenantId,
        checked.user_id as UserId,
        password_hash,
        now,
        checked.password_hash
    )
    .execute(conn)
    .await?;
    Ok(set.rows_affected() == 1)
}

/// Sets the second factor: its seed (none: no second factor), the time step of the code that confirmed it, and the
/// recovery codes. False when the checked credentials changed meanwhile.
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
        tenant as TenantId,
        checked.user_id as UserId,
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
