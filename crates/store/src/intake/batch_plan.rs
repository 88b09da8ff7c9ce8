//! Reads what a batch is planned with, and reserves its references.

use regua_domain::{
    Calendar, CampaignId, InstanceId, MessageType, QueueId, QueueStatus, TemplateId, TenantId, Variations,
};
use serde_json::Value;
use sqlx::{Error, PgConnection};

use crate::business_hours::OpenHours;
use crate::templates::Template;
use crate::tenant_rules;

/// What a posted batch asks for.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are columns of the campaign")]
pub struct BatchRequest<'a> {
    pub tenant_id: TenantId,
    pub message_type: MessageType,
    pub external_id: &'a str,
    /// The template's name; none: the tenant's default for the type.
    pub template: Option<&'a str>,
    /// The instance's name; none: the tenant's default for the type.
    pub instance: Option<&'a str>,
    /// Number of references to reserve, one for each contact; 0 for a dry run.
    pub references: i64,
}

/// What a batch is planned with.
#[derive(Debug)]
pub struct BatchPlan {
    /// The batch of this `external_id` that was accepted before.
    pub accepted: Option<AcceptedBatch>,
    /// None when the tenant has no such template of the type.
    pub template: Option<Template>,
    /// With its effective messages a minute; none when the tenant has no such instance.
    pub instance: Option<(InstanceId, i32)>,
    /// When the tenant's overdue and upcoming messages may be sent.
    pub calendar: Calendar,
    /// The tenant's name in messages: the template variable `empresa`.
    pub company: String,
    /// Number of the first reserved reference; none when no reference was reserved.
    pub first_reference: Option<i64>,
}

/// An accepted batch, as far as the answer to its replay needs it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the tables' columns")]
pub struct AcceptedBatch {
    pub campaign_id: CampaignId,
    pub queue_id: QueueId,
    pub message_type: MessageType,
    /// The fingerprint.
    pub body_hash: Vec<u8>,
    pub queue_status: QueueStatus,
    /// Number of accepted contacts.
    pub total: i32,
    /// The first answer's lists.
    pub rejected: Value,
    pub warnings: Value,
}

/// Reads the plan of a batch and reserves its references in one statement, and so in one round trip.
///
/// The caller commits the references before it stores the messages: a lock on the tenant's row while a batch is written
/// would admit a tenant's batches one by one, and a block that is not used is only a gap. That commit does not wait for
/// the disk: the commit of the messages is later in the write-ahead log, and makes this one durable too. Without that
/// commit (a replay, a template that does not exist) no reference is used.
pub async fn plan_batch(conn: &mut PgConnection, request: BatchRequest<'_>) -> Result<BatchPlan, Error> {
    let row = sqlx::query!(
        r#"with reserved as (
               update tenants set references_used = references_used + $6::bigint where tenant_id = $1 and $6::bigint > 0
               returning references_used - $6::bigint as first
           )
           select t.name as company, c.time_zone, c.keeps_hours, c.national_holidays,
                  (select first from reserved) as first_reference,
                  set_config('synchronous_commit', 'off', true),
                  m.template_id as "template_id?: TemplateId", m.name as "template_name?", m.variables_schema,
                  (select array_agg(v.source order by v.variation) from template_variations v
                   where v.tenant_id = m.tenant_id and v.template_id = m.template_id) as variations,
                  i.instance_id as "instance_id?: InstanceId",
                  coalesce(i.messages_per_minute, c.messages_per_minute) as "messages_per_minute!",
                  h.weekdays, h.opens, h.closes,
                  (select array_agg(day) from holidays where tenant_id = $1) as holidays,
                  a.campaign_id as "campaign_id?: CampaignId", a.type as "accepted_type?: MessageType",
                  a.body_hash as "body_hash?", a.rejected as "rejected?", a.warnings as "warnings?",
                  q.queue_id as "queue_id?: QueueId", q.status as "queue_status?: QueueStatus", q.total as "total?"
           from tenants t join tenant_configs c using (tenant_id)
           left join type_defaults d on d.tenant_id = $1 and d.type = $2
           left join templates m on m.tenant_id = $1 and m.type = $2
                and (m.name = $4 or ($4::text is null and m.template_id = d.template_id))
           left join instances i on i.tenant_id = $1
                and (i.name = $5 or ($5::text is null and i.instance_id = d.instance_id))
           left join campaigns a on a.tenant_id = $1 and a.external_id = $3
           left join queues q on q.tenant_id = $1 and q.campaign_id = a.campaign_id
           cross join lateral (
               select array_agg(weekday order by weekday, opens_minute) as weekdays,
                      array_agg(opens_minute order by weekday, opens_minute) as opens,
                      array_agg(closes_minute order by weekday, opens_minute) as closes
               from business_hours where tenant_id = $1
           ) h
           where t.tenant_id = $1"#,
        request.tenant_id as TenantId,
        request.message_type as MessageType,
        request.external_id,
        request.template,
        request.instance,
        request.references
    )
    .fetch_one(conn)
    .await?;
    let hours = OpenHours::from_columns(row.weekdays, row.opens, row.closes);
    let holidays = row.holidays.into_iter().flatten().collect();
    let calendar = tenant_rules::calendar(&row.time_zone, row.keeps_hours, row.national_holidays, &hours, holidays);
    let template = |template_id, name, sources| {
        let variations = Variations::parse(sources).map_err(|error| Error::Decode(Box::new(error)))?;
        let (message_type, variables_schema) = (request.message_type, row.variables_schema);
        Ok::<_, Error>(Template { template_id, name, message_type, variables_schema, variations })
    };
    let template = match (row.template_id, row.template_name, row.variations) {
        (Some(id), Some(name), Some(sources)) => Some(template(id, name, sources)?),
        _ => None,
    };
    let accepted = || {
        Some(AcceptedBatch {
            campaign_id: row.campaign_id?,
            queue_id: row.queue_id?,
            message_type: row.accepted_type?,
            body_hash: row.body_hash?,
            queue_status: row.queue_status?,
            total: row.total?,
            rejected: row.rejected?,
            warnings: row.warnings?,
        })
    };
    Ok(BatchPlan {
        accepted: accepted(),
        template,
        instance: row.instance_id.map(|instance| (instance, row.messages_per_minute)),
        calendar: calendar.map_err(Error::Decode)?,
        company: row.company,
        first_reference: row.first_reference,
    })
}
