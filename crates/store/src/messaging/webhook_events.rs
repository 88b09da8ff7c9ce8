//! Table `webhook_events`: webhooks of all sources, until their reader has applied them. A function for the events of
//! one source names it.

mod waiting;

use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_domain::{GatewayEventName, InstanceId, TenantId, WebhookEventId, WebhookSource};
use serde_json::Value;
use sqlx::{Error, PgConnection};

use super::dead_letters::{self, DEAD_EVENT};

pub use waiting::{OldestStatuses, WaitingOfInstance, count_waiting, delete_oldest_statuses, lock_waiting};

/// Bytes of an event that an earlier version stored without counting them: its API accepted no longer body.
const UNCOUNTED_BYTES: i64 = 1 << 20;

/// A stored event of the gateway.
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct StoredGatewayEvent {
    pub tenant_id: TenantId,
    pub id: WebhookEventId,
    pub instance_id: InstanceId,
    pub event: GatewayEventName,
    /// JSON.
    pub data: String,
    pub received_at: DateTime<Utc>,
    /// Whether more events were due than were taken.
    pub is_followed: bool,
}

/// Stores an event of the gateway; `data` is JSON, and an event that does not prove sending may be deleted when too
/// many wait. The transaction's role need not see the row ([`crate::access::begin_webhook`]).
pub async fn insert_gateway_event(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    event: GatewayEventName,
    data: &str,
    proves_sending: bool,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into webhook_events (tenant_id, webhook_event_id, source, instance_id, event, data, bytes,
             proves_sending, received_at, next_match_at)
         values ($1, $2, 'evolution', $3, $4, $5::text::jsonb, octet_length($5::text), $6, $7, $7)",
        tenant as TenantId,
        WebhookEventId::new(now) as WebhookEventId,
        instance as InstanceId,
        event as GatewayEventName,
        data,
        proves_sending,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How much one pass takes.
#[derive(Clone, Copy, Debug)]
pub struct PassBudget {
    /// Events of all tenants.
    pub events: i64,
    /// Events of one tenant, where more than `events` are due.
    pub events_of_tenant: i64,
    /// Bytes of all tenants; the event that exceeds them is the last.
    pub bytes: i64,
}

/// Reads the gateway's events to match now, and hides them from other readers for the visibility timeout. Where more
/// are due than one pass takes, the tenants take turns: the oldest event of each comes first, then the second of each.
/// Indexes `webhook_events_due`, and then `webhook_events_due_of_tenant`, once for each tenant with events.
pub async fn take_due_gateway_events(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    visibility_timeout: Duration,
    budget: PassBudget,
) -> Result<Vec<StoredGatewayEvent>, Error> {
    let mut events = sqlx::query_as!(
        StoredGatewayEvent,
        r#"with recursive oldest as materialized (
             select tenant_id, webhook_event_id, next_match_at, coalesce(bytes, $6::bigint) as bytes from webhook_events
             where source = 'evolution' and next_match_at <= $1
             order by next_match_at limit $3::bigint + 1
         ), tenants (tenant_id) as (
             (select tenant_id from webhook_events
              where source = 'evolution' and tenant_id is not null and (select count(*) from oldest) > $3::bigint
              order by tenant_id limit 1)
             union all
             select (select e.tenant_id from webhook_events e
                     where e.source = 'evolution' and e.tenant_id > t.tenant_id order by e.tenant_id limit 1)
             from tenants t where t.tenant_id is not null
         ), due as (
             select tenant_id, webhook_event_id, next_match_at, bytes from oldest
             where (select count(*) from oldest) <= $3::bigint
             union all
             select d.tenant_id, d.webhook_event_id, d.next_match_at, d.bytes
             from tenants t cross join lateral (
                 select e.tenant_id, e.webhook_event_id, e.next_match_at, coalesce(e.bytes, $6::bigint) as bytes
                 from webhook_events e
                 where e.source = 'evolution' and e.tenant_id = t.tenant_id and e.next_match_at <= $1
                 order by e.next_match_at limit $4::bigint
             ) d
         ), turns as (
             select tenant_id, webhook_event_id, next_match_at, bytes,
                    row_number() over (partition by tenant_id order by next_match_at, webhook_event_id) as turn
             from due
         ), places as (
             select webhook_event_id, row_number() over by_turn as place,
                    sum(bytes) over by_turn - bytes as bytes_before
             from turns
             window by_turn as (order by turn, next_match_at, webhook_event_id rows unbounded preceding)
         ), chosen as materialized (
             select webhook_event_id from places where place <= $3::bigint and bytes_before < $5::bigint
         ), locked as materialized (
             select tenant_id, webhook_event_id from webhook_events
             where webhook_event_id = any(array(select webhook_event_id from chosen)) and next_match_at <= $1
             for update skip locked
         )
         update webhook_events e set next_match_at = $1::timestamptz + $2::interval from locked l
         where e.tenant_id = l.tenant_id and e.webhook_event_id = l.webhook_event_id
         returning e.tenant_id as "tenant_id!: TenantId", e.webhook_event_id as "id: WebhookEventId",
             e.instance_id as "instance_id!: InstanceId", e.event as "event: GatewayEventName",
             e.data::text as "data!", e.received_at,
             (select count(*) from oldest) > (select count(*) from chosen) as "is_followed!""#,
        now,
        visibility_timeout as Duration,
        budget.events,
        budget.events_of_tenant,
        budget.bytes,
        UNCOUNTED_BYTES
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

/// Sets when an event without a match is matched again. Its earlier failures count no more.
pub async fn postpone(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: WebhookEventId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update webhook_events set next_match_at = $3, failures = 0 where tenant_id = $1 and webhook_event_id = $2",
        tenant as TenantId,
        id as WebhookEventId,
        at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts a pass that failed at an event; returns how many did, none when the event was deleted meanwhile.
pub async fn record_failure(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: WebhookEventId,
) -> Result<Option<i16>, Error> {
    sqlx::query_scalar!(
        "update webhook_events set failures = failures + 1 where tenant_id = $1 and webhook_event_id = $2
         returning failures",
        tenant as TenantId,
        id as WebhookEventId
    )
    .fetch_optional(conn)
    .await
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

/// Events that contain one of these texts: the digits of a phone number, a reference, or the id of a message; dead
/// letters with their bodies too. Both are a day old at most.
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
           union all
           select d.body from dead_letters d
           where d.tenant_id = $1 and d.routing_key = $3
             and exists (select from unnest($2::text[]) as u (needle) where strpos(d.body::text, u.needle) > 0)
           limit 1000"#,
        tenant as TenantId,
        needles,
        DEAD_EVENT
    )
    .fetch_all(conn)
    .await
}

/// Deletes the events and the dead letters that contain one of these texts.
pub async fn delete_containing(conn: &mut PgConnection, tenant: TenantId, needles: &[String]) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "delete from webhook_events e
         where e.tenant_id = $1
           and exists (select from unnest($2::text[]) as u (needle) where strpos(e.data::text, u.needle) > 0)",
        tenant as TenantId,
        needles
    )
    .execute(&mut *conn)
    .await?;
    Ok(deleted.rows_affected() + dead_letters::delete_events_containing(conn, tenant, needles).await?)
}
