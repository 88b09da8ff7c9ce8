//! Table `dead_letters`: doorbells that the embedded broker could not read, as RabbitMQ's `billing.dead` holds them,
//! and webhook events that their reader failed to apply.

use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{TenantId, WebhookEventId};
use serde_json::Value;
use sqlx::{Error, PgConnection};

/// The routing key of a webhook event: no topic has it.
pub(super) const DEAD_EVENT: &str = "webhook_event";

/// How long the body of a webhook event is stored: an operator can repeat the event meanwhile.
const EVENT_BODY: TimeDelta = TimeDelta::hours(24);

/// Stores an unreadable doorbell for an operator. A doorbell that rang again meanwhile is the same dead letter.
pub async fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: uuid::Uuid,
    routing_key: &str,
    body: &Value,
    reason: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into dead_letters (tenant_id, dead_letter_id, routing_key, body, reason) values ($1, $2, $3, $4, $5)
         on conflict do nothing",
        tenant as TenantId,
        id,
        routing_key,
        body,
        reason
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The number of dead letters.
pub async fn count(conn: &mut PgConnection) -> Result<i64, Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from dead_letters"#).fetch_one(conn).await
}

/// Moves a webhook event to the dead letters.
pub async fn move_event(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: WebhookEventId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "with dead as (
             delete from webhook_events where tenant_id = $1 and webhook_event_id = $2
             returning tenant_id, webhook_event_id, jsonb_build_object(
                 'source', source, 'event', event, 'instance_id', instance_id, 'received_at', received_at, 'data', data)
                 as body
         )
         insert into dead_letters (tenant_id, dead_letter_id, routing_key, body, reason, died_at)
         select tenant_id, webhook_event_id, $3, body, $4, $5 from dead",
        tenant as TenantId,
        id as WebhookEventId,
        DEAD_EVENT,
        reason,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes the bodies of the webhook events that are a day old, in dead letters of all tenants; returns how many.
pub async fn empty_old_events(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<u64, Error> {
    let emptied = sqlx::query!(
        "update dead_letters set body = '{}' where died_at < $1 and routing_key = $2 and body <> '{}'",
        now - EVENT_BODY,
        DEAD_EVENT
    )
    .execute(conn)
    .await?;
    Ok(emptied.rows_affected())
}

/// Deletes the webhook events that contain one of these texts.
pub(super) async fn delete_events_containing(
    conn: &mut PgConnection,
    tenant: TenantId,
    needles: &[String],
) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "delete from dead_letters d
         where d.tenant_id = $1 and d.routing_key = $3
           and exists (select from unnest($2::text[]) as u (needle) where strpos(d.body::text, u.needle) > 0)",
        tenant as TenantId,
        needles,
        DEAD_EVENT
    )
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
