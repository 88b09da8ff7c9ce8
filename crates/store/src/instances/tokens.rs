//! The tokens of all tenants' numbers as they are kept, for whoever seals them anew. None is opened here.

use regua_domain::{InstanceId, Sealed, TenantId};
use sqlx::{Error, PgConnection};

/// A token as it is kept.
#[derive(Clone)]
pub struct KeptToken {
    /// Whose number it is.
    pub tenant: TenantId,
    /// The number.
    pub instance: InstanceId,
    /// Sealed, or as it stands.
    pub token: String,
}

/// How many tokens are kept in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCount {
    /// The key that sealed them; none: they are not sealed.
    pub key_id: Option<String>,
    /// How many.
    pub count: i64,
}

/// The next tokens, by primary key after `after`, that are not sealed under this key.
///
/// # Errors
/// The database's.
pub async fn tokens_not_under(
    conn: &mut PgConnection,
    key_id: &str,
    after: Option<(TenantId, InstanceId)>,
    limit: i64,
) -> Result<Vec<KeptToken>, Error> {
    let (tenant, instance) = after.unzip();
    let rows = sqlx::query!(
        "select tenant_id, instance_id, token from instances
         where not starts_with(token, 'v1:' || $1 || ':')
           and ($2::uuid is null or (tenant_id, instance_id) > ($2, $3::uuid))
         order by tenant_id, instance_id limit $4",
        key_id,
        tenant.map(|id| id.0),
        instance.map(|id| id.0),
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| KeptToken {
            tenant: TenantId(row.tenant_id),
            instance: InstanceId(row.instance_id),
            token: row.token,
        })
        .collect())
}

/// Puts sealed tokens in the place of those that were read, where nobody has changed them meanwhile; how many it did.
///
/// # Errors
/// The database's.
pub async fn reseal_tokens(conn: &mut PgConnection, tokens: &[(KeptToken, Sealed)]) -> Result<u64, Error> {
    let changed = sqlx::query!(
        "with ordered as materialized (
             select i.tenant_id, i.instance_id, u.sealed
             from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) as u (tenant_id, instance_id, kept, sealed)
             join instances i using (tenant_id, instance_id)
             where i.token = u.kept
             order by i.tenant_id, i.instance_id for no key update of i
         )
         update instances i set token = o.sealed
         from ordered o where i.tenant_id = o.tenant_id and i.instance_id = o.instance_id",
        &tokens.iter().map(|(kept, _)| kept.tenant.0).collect::<Vec<_>>(),
        &tokens.iter().map(|(kept, _)| kept.instance.0).collect::<Vec<_>>(),
        &tokens.iter().map(|(kept, _)| kept.token.clone()).collect::<Vec<_>>(),
        &tokens.iter().map(|(_, sealed)| sealed.as_str().to_owned()).collect::<Vec<_>>()
    )
    .execute(conn)
    .await?;
    Ok(changed.rows_affected())
}

/// How the tokens are kept, by the key that sealed them.
///
/// # Errors
/// The database's.
pub async fn count_tokens(conn: &mut PgConnection) -> Result<Vec<TokenCount>, Error> {
    sqlx::query_as!(
        TokenCount,
        r#"select substring(token from '^v1:([0-9a-f]{8}):') as key_id, count(*) as "count!"
           from instances group by 1 order by 1 nulls first"#
    )
    .fetch_all(conn)
    .await
}
