//! The columns that hold sealed secrets, over all tenants: which key sealed each secret, and its replacement when the
//! key is rotated. No secret is opened here.

use regua_domain::{Sealed, TenantId};
use sqlx::{Error, PgConnection};
use uuid::Uuid;

use crate::columns;

/// A column of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// `instances.token`, by `instance_id`. Tokens that are older than sealing are plain text.
    InstanceToken,
    /// `users.totp_seed`, by `user_id`.
    TotpSeed,
}

impl Column {
    /// All columns of secrets.
    pub const ALL: [Self; 2] = [Self::InstanceToken, Self::TotpSeed];
}

/// A secret as its column holds it.
#[derive(Clone)]
pub struct StoredSecret {
    /// The first part of the row's key.
    pub tenant: TenantId,
    /// The rest of the row's key.
    pub row: Uuid,
    /// Sealed, or plain text.
    pub secret: String,
}

/// How many secrets one key has sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// None: the secrets are plain text.
    pub key_id: Option<String>,
    /// Number of secrets.
    pub count: i64,
}

/// A query about the column `$secret` of `$table`, whose key is `tenant_id` and `$row`: which secrets a key has not sealed,
/// or their replacement.
macro_rules! secrets {
    (list $table:literal, $row:literal, $secret:literal, $($argument:expr),+) => {
        sqlx::query_as!(
            StoredSecret,
            "select tenant_id as tenant, " + $row + " as row, " + $secret + r#" as "secret!" from "# + $table
                + " where not starts_with(" + $secret + ", 'v1:' || $1 || ':')
                      and ($2::uuid is null or (tenant_id, " + $row + ") > ($2, $3::uuid))
                    order by tenant_id, " + $row + " limit $4",
            $($argument),+
        )
    };
    (replace $table:literal, $row:literal, $secret:literal, $($argument:expr),+) => {
        sqlx::query!(
            "with ordered as materialized (
                 select s.tenant_id, u.row, u.sealed
                 from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) as u (tenant_id, row, stored, sealed)
                 join " + $table + " s on s.tenant_id = u.tenant_id and s." + $row + " = u.row
                 where s." + $secret + " = u.stored
                 order by s.tenant_id, u.row for no key update of s
             )
             update " + $table + " s set " + $secret + " = o.sealed
             from ordered o where s.tenant_id = o.tenant_id and s." + $row + " = o.row",
            $($argument),+
        )
    };
}

/// The next secrets of a column that this key has not sealed, by primary key after `after`.
pub async fn list_not_sealed_with(
    conn: &mut PgConnection,
    column: Column,
    key_id: &str,
    after: Option<(TenantId, Uuid)>,
    limit: i64,
) -> Result<Vec<StoredSecret>, Error> {
    let (tenant, row) = after.unzip();
    let tenant = tenant.map(|tenant| tenant.0);
    match column {
        Column::InstanceToken => {
            secrets!(list "instances", "instance_id", "token", key_id, tenant, row, limit).fetch_all(conn).await
        }
        Column::TotpSeed => {
            secrets!(list "users", "user_id", "totp_seed", key_id, tenant, row, limit).fetch_all(conn).await
        }
    }
}

/// Replaces stored secrets by sealed ones, except those that changed since they were read; returns how many.
pub async fn reseal(conn: &mut PgConnection, column: Column, secrets: &[(StoredSecret, Sealed)]) -> Result<u64, Error> {
    let tenants = columns::column(secrets, |(stored, _)| stored.tenant.0);
    let rows = columns::column(secrets, |(stored, _)| stored.row);
    let stored = columns::column(secrets, |(stored, _)| stored.secret.clone());
    let sealed = columns::column(secrets, |(_, sealed)| sealed.as_str().to_owned());
    let changed = match column {
        Column::InstanceToken => {
            secrets!(replace "instances", "instance_id", "token", &tenants, &rows, &stored, &sealed)
                .execute(conn)
                .await?
        }
        Column::TotpSeed => {
            secrets!(replace "users", "user_id", "totp_seed", &tenants, &rows, &stored, &sealed).execute(conn).await?
        }
    };
    Ok(changed.rows_affected())
}

/// How many secrets each key has sealed.
pub async fn count_by_key(conn: &mut PgConnection) -> Result<Vec<KeyUse>, Error> {
    sqlx::query_as!(
        KeyUse,
        r#"with stored (secret) as (
               select token from instances union all select totp_seed from users where totp_seed is not null
           )
           select substring(secret from '^v1:([0-9a-f]{8}):') as key_id, count(*) as "count!"
           from stored group by 1 order by 1 nulls first"#
    )
    .fetch_all(conn)
    .await
}
