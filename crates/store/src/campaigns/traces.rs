//! Personal data in `campaigns`: rejections and warnings of single contacts, and the caller's name and metadata.

use regua_domain::{CampaignId, ContactId, TenantId, Traces};
use serde_json::Value;
use sqlx::{Error, PgConnection};

/// Rejections and warnings of contacts with one of these external ids, each with its campaign's id. Reads all campaigns
/// of the tenant.
pub async fn find_remarks(
    conn: &mut PgConnection,
    tenant: TenantId,
    external_ids: &[String],
) -> Result<Vec<Value>, Error> {
    if external_ids.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar!(
        r#"select jsonb_build_object('campaign_id', p.campaign_id, 'remark', r.remark) as "remark!"
           from campaigns p cross join lateral jsonb_array_elements(p.rejected || p.warnings) as r (remark)
           where p.tenant_id = $1 and r.remark->>'external_id' = any($2)
           order by p.campaign_id limit 1000"#,
        tenant as TenantId,
        external_ids
    )
    .fetch_all(conn)
    .await
}

/// Removes a debtor's traces from the campaigns of these contacts, and from those with rejections or warnings of the
/// debtor. The fingerprint stays, so a replay is still recognised.
pub async fn remove_traces(
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
        r#"select p.campaign_id as "campaign_id: CampaignId", p.name, p.rejected, p.warnings, p.metadata from campaigns p
         where p.tenant_id = $1
           and (p.campaign_id in (select q.campaign_id from contacts c join queues q using (tenant_id, queue_id)
                                  where c.tenant_id = $1 and c.contact_id = any($2))
                or exists (select from jsonb_array_elements(p.rejected || p.warnings) as r (remark)
                           where r.remark->>'external_id' = any($3)))
         order by p.campaign_id for no key update of p"#,
        tenant as TenantId,
        contacts as &[ContactId],
        &external_ids
    )
    .fetch_all(&mut *conn)
    .await?;
    for mut row in rows {
        let is_named = traces.occur_in(&row.name);
        let found = [
            traces.remove_from_remarks(&mut row.rejected),
            traces.remove_from_remarks(&mut row.warnings),
            traces.remove_from(&mut row.metadata),
            is_named,
        ];
        if found.contains(&true) {
            sqlx::query!(
                "update campaigns set name = $3, rejected = $4, warnings = $5, metadata = $6
                 where tenant_id = $1 and campaign_id = $2",
                tenant as TenantId,
                row.campaign_id as CampaignId,
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
