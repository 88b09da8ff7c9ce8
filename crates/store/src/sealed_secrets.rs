//! What is kept sealed of all tenants, whichever table it is in, for whoever seals it anew. None of it is opened here.

use regua_domain::{Sealed, TenantId};
use sqlx::{Error, PgConnection};
use uuid::Uuid;

/// Where secrets are kept sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// `instances.token`, by `instance_id`. Those from before sealing stand as they are.
    InstanceToken,
    /// `users.totp_seed`, by `user_id`.
    TotpSeed,
}

impl Column {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::InstanceToken, Self::TotpSeed];
}

/// A secret as it is kept.
#[derive(Clone)]
pub struct Kept {
    /// Whose it is.
    pub tenant: TenantId,
    /// The rest of the row's key.
    pub row: Uuid,
    /// Sealed, or as it stands.
    pub secret: String,
}

/// How many secrets are kept in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The key that sealed them; none: they are not sealed.
    pub key_id: Option<String>,
    /// How many.
    pub count: i64,
}

/// The next secrets of a column, by primary key after `after`, that are not sealed under this key.
///
/// # Errors
/// The database's.
pub async fn not_under(
    conn: &mut PgConnection,
    column: Column,
    key_id: &str,
    after: Option<(TenantId, Uuid)>,
    limit: i64,
) -> Result<Vec<Kept>, Error> {
    let (tenant, row) = after.unzip();
    let tenant = tenant.map(|id| id.0);
    match column {
        Column::InstanceToken => {
            sqlx::query_as!(
                Kept,
                "select tenant_id as tenant, instance_id as row, token as secret from instances
                 where not starts_with(token, 'v1:' || $1 || ':')
                   and ($2::uuid is null or (tenant_id, instance_id) > ($2, $3::uuid))
                 order by tenant_id, instance_id limit $4",
                key_id,
                tenant,
                row,
                limit
            )
            .fetch_all(conn)
            .await
        }
        Column::TotpSeed => {
            sqlx::query_as!(
                Kept,
                r#"select tenant_id as tenant, user_id as row, totp_seed as "secret!" from users
                   where not starts_with(totp_seed, 'v1:' || $1 || ':')
                     and ($2::uuid is null or (tenant_id, user_id) > ($2, $3::uuid))
                   order by tenant_id, user_id limit $4"#,
                key_id,
                tenant,
                row,
                limit
            )
            .fetch_all(conn)
            .await
        }
    }
}

/// Puts sealed secrets in the place of those that were read, where nobody has changed them meanwhile; how many it did.
///
/// # Errors
/// The database's.
pub async fn reseal(conn: &mut PgConnection, column: Column, secrets: &[(Kept, Sealed)]) -> Result<u64, Error> {
    let tenants: Vec<_> = secrets.iter().map(|(kept, _)| kept.tenant.0).collect();
    let rows: Vec<_> = secrets.iter().map(|(kept, _)| kept.row).collect();
    let kept: Vec<_> = secrets.iter().map(|(kept, _)| kept.secret.clone()).collect();
    let sealed: Vec<_> = secrets.iter().map(|(_, sealed)| sealed.as_str().to_owned()).collect();
    let changed = match column {
        Column::InstanceToken => {
            sqlx::query!(
                "with ordered as materialized (
                     select i.tenant_id, i.instance_id, u.sealed
                     from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) as u (tenant_id, instance_id, kept, sealed)
                     join instances i using (tenant_id, instance_id)
                     where i.token = u.kept
                     order by i.tenant_id, i.instance_id for no key update of i
                 )
                 update instances i set token = o.sealed
                 from ordered o where i.tenant_id = o.tenant_id and i.instance_id = o.instance_id",
                &tenants,
                &rows,
                &kept,
                &sealed
            )
            .execute(conn)
            .await?
        }
        Column::TotpSeed => {
            sqlx::query!(
                "with ordered as materialized (
                     select s.tenant_id, s.user_id, u.sealed
                     from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) as u (tenant_id, user_id, kept, sealed)
                     join users s using (tenant_id, user_id)
                     where s.totp_seed = u.kept
                     order by s.tenant_id, s.user_id for no key update of s
                 )
                 update users s set totp_seed = o.sealed
                 from ordered o where s.tenant_id = o.tenant_id and s.user_id = o.user_id",
                &tenants,
                &rows,
                &kept,
                &sealed
            )
            .execute(conn)
            .await?
        }
    };
    Ok(changed.rows_affected())
}

/// How secrets are kept, by the key that sealed them.
///
/// # Errors
/// The database's.
pub async fn count(conn: &mut PgConnection) -> Result<Vec<Count>, Error> {
    sqlx::query_as!(
        Count,
        r#"with kept (secret) as (
               select token from instances union all select totp_seed from users where totp_seed is not null
           )
           select substring(secret from '^v1:([0-9a-f]{8}):') as key_id, count(*) as "count!"
           from kept group by 1 order by 1 nulls first"#
    )
    .fetch_all(conn)
    .await
}
