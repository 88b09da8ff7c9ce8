//! What batches keep about single debtors beside their contacts: remarks on contacts that were refused or looked odd, and whatever
//! the caller put into name and metadata.

use regua_domain::{ContactId, TenantId, Traces};
use serde_json::Value;
use sqlx::{Error, PgConnection};

/// Remarks on contacts with one of these ids, each with its batch. It reads all batches of the tenant, which are few beside their
/// contacts.
///
/// # Errors
/// The database's.
pub async fn remarks_on(
    conn: &mut PgConnection,
    tenant: TenantId,
    external_ids: &[String],
) -> Result<Vec<Value>, Error> {
    if external_ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"select jsonb_build_object('campaign_id', p.campaign_id, 'remark', r.remark) as "remark!"
           from campaigns p cross join lateral jsonb_array_elements(p.rejected || p.warnings) as r (remark)
           where p.tenant_id = $1 and r.remark->>'external_id' = any($2)
           order by p.campaign_id limit 1000"#,
        tenant.0,
        external_ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.remark).collect())
}

/// Takes a person out of the batches that these contacts are of, and of those that remark on one of theirs. The guard against a second
/// post compares a hash, which stays.
///
/// # Errors
/// The database's.
pub async fn take_out(
    conn: &mut PgConnection,
    tenant: TenantId,
    contacts: &[ContactId],
    traces: &Traces,
) -> Result<(), Error> {
    let external_ids = traces.external_ids();
    if contacts.is_empty() && external_ids.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        "select p.campaign_id, p.name, p.rejected, p.warnings, p.metadata from campaigns p
         where p.tenant_id = $1
           and (p.campaign_id in (select q.campaign_id from contacts c join queues q using (tenant_id, queue_id)
                                  where c.tenant_id = $1 and c.contact_id = any($2))
                or exists (select from jsonb_array_elements(p.rejected || p.warnings) as r (remark)
                           where r.remark->>'external_id' = any($3)))
         order by p.campaign_id for no key update of p",
        tenant.0,
        &contacts.iter().map(|contact| contact.0).collect::<Vec<_>>(),
        &external_ids
    )
    .fetch_all(&mut *conn)
    .await?;
    for mut row in rows {
        let is_named = traces.are_in(&row.name);
        let found = [
            traces.take_out_of_remarks(&mut row.rejected),
            traces.take_out_of_remarks(&mut row.warnings),
            traces.take_out_of(&mut row.metadata),
            is_named,
        ];
        if found.contains(&true) {
            sqlx::query!(
                "update campaigns set name = $3, rejected = $4, warnings = $5, metadata = $6
                 where tenant_id = $1 and campaign_id = $2",
                tenant.0,
                row.campaign_id,
                if is_named { "" } else { &row.name },
                row.rejected,
                row.warnings,
                row.metadata
            )
            .execute(&mut *conn)
            .await?;
        }
    }
    Ok(())
}
