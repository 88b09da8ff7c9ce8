//! Table `webhook_events`: webhooks of all sources as they were sent, until their reader has applied them. A function for
//! the events of one source names it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_domain::{GatewayEventName, InstanceId, TenantId, WebhookEventId, WebhookSource};
use serde_json::Value;
use sqlx::{Error, PgConnection};

/// A stored event of the gateway.
#[derive(Clone)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct StoredGatewayEvent {
    pub tenant_id: TenantId,
    pub id: WebhookEventId,
    pub instance_id: InstanceId,
    pub event: GatewayEventName,
    pub data: Value,
    pub received_at: DateTime<Utc>,
}

/// Stores an event of the gateway. The transaction's role need not see the row ([`crate::access::begin_webhook`]).
pub async fn insert_gateway_event(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    event: GatewayEventName,
    data: &Value,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into webhook_events (tenant_id, webhook_event_id, source, instance_id, event, data, received_at,
             next_match_at)
         values ($1, $2, 'evolution', $3, $4, $5, $6, $6)",
        tenant as TenantId,
        WebhookEventId::new(now) as WebhookEventId,
        instance as InstanceId,
        event as GatewayEventName,
        data,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads the gateway's events to match now, oldest first, and hides them from other readers for the visibility timeout.
/// Index `webhook_events_due`.
pub async fn take_due_gateway_events(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    visibility_timeout: Duration,
    limit: i64,
) -> Result<Vec<StoredGatewayEvent>, Error> {
    let mut events = sqlx::query_as!(
        StoredGatewayEvent,
        r#"with due as materialized (
             select tenant_id, webhook_event_id from webhook_events
             where source = 'evolution' and next_match_at <= $1
             order by next_match_at limit $3
             for update skip locked
         )
         update webhook_events e set next_match_at = $1::timestamptz + $2::interval from due d
         where e.tenant_id = d.tenant_id and e.webhook_event_id = d.webhook_event_id
         returning e.tenant_id as "tenant_id!: TenantId", e.webhook_event_id as "id: WebhookEventId",
             e.instance_id as "instance_id!: InstanceId", e.event as "event: GatewayEventName", e.data, e.received_at"#,
        now,
        visibility_timeout as Duration,
        limit
    )
    .fetch_all(conn)
    .await?;
    events.sort_by_key(|event| event.id);
    Ok(events)
}

/// When the next event of a source is due; none when no event of that source is stored. Index `webhook_events_due`.
pub async fn next_due(conn: &mut PgConnection, source: WebhookSource) -> Result<Option<DateTime<Utc>>, Error> {
    sqlx::query_scalar!("select min(next_match_at) from webhook_events where source = $1", source as WebhookSource)
        .fetch_one(conn)
        .await
}

/// Whether events about messages that left through an instance wait to be matched. Index `webhook_events_of_instance`.
pub async fn has_unmatched(conn: &mut PgConnection, tenant: TenantId, instance: InstanceId) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"select exists (select from webhook_events
                          where tenant_id = $1 and instance_id = $2 and event = 'send.message') as "exists!""#,
        tenant as TenantId,
        instance as InstanceId
    )
    .fetch_one(conn)
    .await
}

/// Sets when an event without a match is matched again.
pub async fn postpone(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: WebhookEventId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update webhook_events set next_match_at = $3 where tenant_id = $1 and webhook_event_id = $2",
        tenant as TenantId,
        id as WebhookEventId,
        at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes an event that was matched, or that will never match.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, id: WebhookEventId) -> Result<(), Error> {
    sqlx::query!(
        "delete from webhook_events where tenant_id = $1 and webhook_event_id = $2",
        tenant as TenantId,
        id as WebhookEventId
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Events that contain one of these texts: the digits of a phone number, a reference, or the id of a message. The table
/// holds a day's events at most.
pub async fn list_containing(
    conn: &mut PgConnection,
    tenant: TenantId,
    needles: &[String],
) -> Result<Vec<Value>, Error> {
    sqlx::query_scalar!(
        r#"select jsonb_build_object('event', e.event, 'received_at', e.received_at, 'data', e.data) as "webhook!"
           from webhook_events e
           where e.tenant_id = $1
             and exists (select from unnest($2::text[]) as u (needle) where strpos(e.data::text, u.needle) > 0)
           order by e.webhook_event_id limit 1000"#,
        tenant as TenantId,
        needles
    )
    .fetch_all(conn)
    .await
}

/// Deletes the events that contain one of these texts.
pub async fn delete_containing(conn: &mut PgConnection, tenant: TenantId, needles: &[String]) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "delete from webhook_events e
         where e.tenant_id = $1
           and exists (select from unnest($2::text[]) as u (needle) where strpos(e.data::text, u.needle) > 0)",
        tenant as TenantId,
        needles
    )
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
