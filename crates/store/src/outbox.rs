//! Table `outbox`: doorbells that wait to be published, or, with the embedded broker, to be heard.
//!
//! Ringing twice before anybody heard is ringing once: the second ring only raises `revision`, so that whoever holds the
//! row at that moment does not delete it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_domain::TenantId;
use serde_json::Value;
use sqlx::postgres::types::PgInterval;
use sqlx::{Error, PgConnection};
use uuid::Uuid;

/// A message that is in the caller's hands until `hold` has passed.
#[derive(Clone, Debug)]
pub struct Held {
    /// The tenant the message is about.
    pub tenant_id: TenantId,
    /// The row.
    pub outbox_id: Uuid,
    /// `billing.overdue` and so on.
    pub routing_key: String,
    /// RabbitMQ's message priority.
    pub priority: i16,
    /// The message.
    pub body: Value,
    /// What was seen; [`done`] deletes the row only if nobody rang since.
    pub revision: i64,
}

/// Puts a message into the outbox, in the caller's transaction.
///
/// # Errors
/// The database's.
pub async fn put(
    conn: &mut PgConnection,
    tenant: TenantId,
    routing_key: &str,
    priority: u8,
    body: &Value,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into outbox (tenant_id, outbox_id, routing_key, priority, body) values ($1, $2, $3, $4, $5)
         on conflict (tenant_id, routing_key, body) do update
             set revision = outbox.revision + 1, visible_at = now()",
        tenant.0,
        Uuid::new_v7(timestamp(now)),
        routing_key,
        i16::from(priority),
        body
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes up to `limit` waiting messages of these routing keys, highest priority first, and hides them from others for
/// `hold`. Index `outbox_waiting`.
///
/// # Errors
/// The database's.
pub async fn take(
    conn: &mut PgConnection,
    routing_keys: &[String],
    limit: i64,
    hold: Duration,
) -> Result<Vec<Held>, Error> {
    let hold = PgInterval::try_from(hold).map_err(Error::Encode)?;
    let rows = sqlx::query!(
        "with waiting as materialized (
             select tenant_id, outbox_id from outbox
             where routing_key = any($1) and visible_at <= now()
             order by priority desc, visible_at
             limit $2
             for update skip locked
         )
         update outbox o set visible_at = now() + $3
         from waiting w
         where o.tenant_id = w.tenant_id and o.outbox_id = w.outbox_id
         returning o.tenant_id, o.outbox_id, o.routing_key, o.priority, o.body, o.revision",
        routing_keys,
        limit,
        hold
    )
    .fetch_all(conn)
    .await?;
    let mut held: Vec<_> = rows
        .into_iter()
        .map(|row| Held {
            tenant_id: TenantId(row.tenant_id),
            outbox_id: row.outbox_id,
            routing_key: row.routing_key,
            priority: row.priority,
            body: row.body,
            revision: row.revision,
        })
        .collect();
    held.sort_by_key(|message| std::cmp::Reverse(message.priority));
    Ok(held)
}

/// Deletes messages that were published or heard. One that was rung again meanwhile stays and is visible at once.
///
/// # Errors
/// The database's.
pub async fn done(conn: &mut PgConnection, held: &[Held]) -> Result<(), Error> {
    let tenants: Vec<_> = held.iter().map(|message| message.tenant_id.0).collect();
    let ids: Vec<_> = held.iter().map(|message| message.outbox_id).collect();
    let revisions: Vec<_> = held.iter().map(|message| message.revision).collect();
    sqlx::query!(
        "delete from outbox o
         using unnest($1::uuid[], $2::uuid[], $3::bigint[]) as d (tenant_id, outbox_id, revision)
         where o.tenant_id = d.tenant_id and o.outbox_id = d.outbox_id and o.revision = d.revision",
        &tenants,
        &ids,
        &revisions
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives messages back at once, unpublished and unheard.
///
/// # Errors
/// The database's.
pub async fn give_back(conn: &mut PgConnection, held: &[Held]) -> Result<(), Error> {
    let tenants: Vec<_> = held.iter().map(|message| message.tenant_id.0).collect();
    let ids: Vec<_> = held.iter().map(|message| message.outbox_id).collect();
    sqlx::query!(
        "update outbox o set visible_at = now()
         from unnest($1::uuid[], $2::uuid[]) as d (tenant_id, outbox_id)
         where o.tenant_id = d.tenant_id and o.outbox_id = d.outbox_id",
        &tenants,
        &ids
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many messages wait, in anybody's hands or not.
///
/// # Errors
/// The database's.
pub async fn count(conn: &mut PgConnection) -> Result<i64, Error> {
    Ok(sqlx::query!(r#"select count(*) as "count!" from outbox"#).fetch_one(conn).await?.count)
}

/// Seconds since the oldest message was rung for first; none when nothing waits.
///
/// # Errors
/// The database's.
pub async fn oldest_age(conn: &mut PgConnection) -> Result<Option<i64>, Error> {
    let row = sqlx::query!("select extract(epoch from now() - min(created_at))::bigint as seconds from outbox")
        .fetch_one(conn)
        .await?;
    Ok(row.seconds)
}

/// Wakes the listeners of the embedded broker when this transaction commits.
///
/// NOTIFY takes a global lock at commit, so it is called where a campaign is accepted or controlled, never for a send.
///
/// # Errors
/// The database's.
pub async fn notify(conn: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("select pg_notify('regua_outbox', '')").fetch_one(conn).await?;
    Ok(())
}

fn timestamp(now: DateTime<Utc>) -> uuid::Timestamp {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    uuid::Timestamp::from_unix(uuid::NoContext, seconds, now.timestamp_subsec_nanos())
}
