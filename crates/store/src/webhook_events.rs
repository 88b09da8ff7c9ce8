//! Table `webhook_events`: what the gateway told us, as it came, until it has been matched with what it is about.

use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_domain::{InstanceId, TenantId, WebhookEventId};
use serde_json::Value;
use sqlx::postgres::types::PgInterval;
use sqlx::{Error, PgConnection};

/// One webhook.
#[derive(Clone)]
pub struct WebhookEvent {
    /// Whose number it is about.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: WebhookEventId,
    /// The number.
    pub instance_id: InstanceId,
    /// `send.message` or `messages.update`.
    pub event: String,
    /// As it came.
    pub data: Value,
    /// When it came.
    pub received_at: DateTime<Utc>,
}

/// Stores a webhook.
///
/// # Errors
/// The database's.
pub async fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    event: &str,
    data: &Value,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into webhook_events (tenant_id, webhook_event_id, instance_id, event, data, received_at, next_match_at)
         values ($1, $2, $3, $4, $5, $6, $6)",
        tenant.0,
        WebhookEventId::new(now).0,
        instance.0,
        event,
        data,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Webhooks to be matched now, oldest first; they are in the caller's hands until `hold` has passed. Index
/// `webhook_events_to_match`.
///
/// # Errors
/// The database's.
pub async fn take_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    hold: Duration,
    limit: i64,
) -> Result<Vec<WebhookEvent>, Error> {
    let hold = PgInterval::try_from(hold).map_err(Error::Encode)?;
    let rows = sqlx::query!(
        "with due as materialized (
             select tenant_id, webhook_event_id from webhook_events where next_match_at <= $1
             order by next_match_at limit $3
             for update skip locked
         )
         update webhook_events e set next_match_at = $1::timestamptz + $2::interval from due d
         where e.tenant_id = d.tenant_id and e.webhook_event_id = d.webhook_event_id
         returning e.tenant_id, e.webhook_event_id, e.instance_id, e.event, e.data, e.received_at",
        now,
        hold,
        limit
    )
    .fetch_all(conn)
    .await?;
    let mut events: Vec<_> = rows
        .into_iter()
        .map(|row| WebhookEvent {
            tenant_id: TenantId(row.tenant_id),
            id: WebhookEventId(row.webhook_event_id),
            instance_id: InstanceId(row.instance_id),
            event: row.event,
            data: row.data,
            received_at: row.received_at,
        })
        .collect();
    events.sort_by_key(|event| event.id);
    Ok(events)
}

/// Whether webhooks about messages that left through a number wait to be matched. Index `webhook_events_of_instance`.
///
/// # Errors
/// The database's.
pub async fn has_unread(conn: &mut PgConnection, tenant: TenantId, instance: InstanceId) -> Result<bool, Error> {
    let row = sqlx::query!(
        r#"select exists (select from webhook_events
                          where tenant_id = $1 and instance_id = $2 and event = 'send.message') as "exists!""#,
        tenant.0,
        instance.0
    )
    .fetch_one(conn)
    .await?;
    Ok(row.exists)
}

/// Has a webhook that is early looked at again at `at`.
///
/// # Errors
/// The database's.
pub async fn postpone(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: WebhookEventId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update webhook_events set next_match_at = $3 where tenant_id = $1 and webhook_event_id = $2",
        tenant.0,
        id.0,
        at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a webhook that has been matched, or that nothing will ever match.
///
/// # Errors
/// The database's.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, id: WebhookEventId) -> Result<(), Error> {
    sqlx::query!("delete from webhook_events where tenant_id = $1 and webhook_event_id = $2", tenant.0, id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// Stored webhooks that hold one of these texts: a number's digits, a reference, a message's id. The table holds a day's at most.
///
/// # Errors
/// The database's.
pub async fn telling_of(conn: &mut PgConnection, tenant: TenantId, needles: &[String]) -> Result<Vec<Value>, Error> {
    let rows = sqlx::query!(
        r#"select jsonb_build_object('event', e.event, 'received_at', e.received_at, 'data', e.data) as "webhook!"
           from webhook_events e
           where e.tenant_id = $1
             and exists (select from unnest($2::text[]) as u (needle) where strpos(e.data::text, u.needle) > 0)
           order by e.webhook_event_id limit 1000"#,
        tenant.0,
        needles
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.webhook).collect())
}

/// Forgets them.
///
/// # Errors
/// The database's.
pub async fn forget(conn: &mut PgConnection, tenant: TenantId, needles: &[String]) -> Result<u64, Error> {
    let done = sqlx::query!(
        "delete from webhook_events e
         where e.tenant_id = $1
           and exists (select from unnest($2::text[]) as u (needle) where strpos(e.data::text, u.needle) > 0)",
        tenant.0,
        needles
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
