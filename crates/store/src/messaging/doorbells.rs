//! Table `doorbells`: doorbells that wait to be published, or, with the embedded broker, to be consumed.
//!
//! A second ring of a stored doorbell raises `revision` and makes the row visible. A consumer that has read the earlier
//! revision then does not delete the row.

use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_domain::{TenantId, time_ordered_uuid};
use serde_json::Value;
use sqlx::{Error, PgConnection};
use uuid::Uuid;

use crate::columns::column;

/// A doorbell that the relay or a consumer has read, and that is hidden from others until the visibility timeout.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct HeldDoorbell {
    pub tenant_id: TenantId,
    pub doorbell_id: Uuid,
    /// Such as `billing.overdue`.
    pub routing_key: String,
    /// RabbitMQ's message priority.
    pub priority: i16,
    pub body: Value,
    /// [`acknowledge`] deletes the row only when it has this revision.
    pub revision: i64,
}

/// A doorbell to be stored.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct NewDoorbell {
    pub routing_key: String,
    /// RabbitMQ's message priority.
    pub priority: u8,
    pub body: Value,
}

/// Stores a doorbell, in the caller's transaction.
pub async fn put(
    conn: &mut PgConnection,
    tenant: TenantId,
    new: &NewDoorbell,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into doorbells (tenant_id, doorbell_id, routing_key, priority, body) values ($1, $2, $3, $4, $5)
         on conflict (tenant_id, routing_key, body) do update
             set revision = doorbells.revision + 1, visible_at = now()",
        tenant as TenantId,
        time_ordered_uuid(now),
        new.routing_key,
        i16::from(new.priority),
        new.body
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores a doorbell that belongs to no tenant, in the caller's transaction, unless it waits already. The transaction
/// locks no waiting doorbell, and its role need not see the row.
///
/// A consumer may therefore acknowledge the doorbell before this transaction is committed. It must look again later.
pub async fn put_without_tenant(conn: &mut PgConnection, new: &NewDoorbell, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "insert into doorbells (tenant_id, doorbell_id, routing_key, priority, body) values ($1, $2, $3, $4, $5)
         on conflict do nothing",
        Uuid::nil(),
        time_ordered_uuid(now),
        new.routing_key,
        i16::from(new.priority),
        new.body
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads up to `limit` waiting doorbells of these routing keys, highest priority first, and hides them from other
/// consumers for the visibility timeout. Index `doorbells_waiting`.
pub async fn take(
    conn: &mut PgConnection,
    routing_keys: &[String],
    limit: i64,
    visibility_timeout: Duration,
) -> Result<Vec<HeldDoorbell>, Error> {
    let mut held = sqlx::query_as!(
        HeldDoorbell,
        "with waiting as materialized (
             select tenant_id, doorbell_id from doorbells
             where routing_key = any($1) and visible_at <= now()
             order by priority desc, visible_at
             limit $2
             for update skip locked
         )
         update doorbells d set visible_at = now() + $3
         from waiting w
         where d.tenant_id = w.tenant_id and d.doorbell_id = w.doorbell_id
         returning d.tenant_id, d.doorbell_id, d.routing_key, d.priority, d.body, d.revision",
        routing_keys,
        limit,
        visibility_timeout as Duration
    )
    .fetch_all(conn)
    .await?;
    held.sort_by_key(|doorbell| std::cmp::Reverse(doorbell.priority));
    Ok(held)
}

/// Deletes doorbells that were published or consumed. A doorbell that rang again meanwhile stays, and is visible at
/// once.
pub async fn acknowledge(conn: &mut PgConnection, held: &[HeldDoorbell]) -> Result<(), Error> {
    sqlx::query!(
        "delete from doorbells d
         using unnest($1::uuid[], $2::uuid[], $3::bigint[]) as u (tenant_id, doorbell_id, revision)
         where d.tenant_id = u.tenant_id and d.doorbell_id = u.doorbell_id and d.revision = u.revision",
        &column(held, |doorbell| doorbell.tenant_id) as &[TenantId],
        &column(held, |doorbell| doorbell.doorbell_id),
        &column(held, |doorbell| doorbell.revision)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes doorbells that were not published or consumed visible at once.
pub async fn give_back(conn: &mut PgConnection, held: &[HeldDoorbell]) -> Result<(), Error> {
    sqlx::query!(
        "update doorbells d set visible_at = now()
         from unnest($1::uuid[], $2::uuid[]) as u (tenant_id, doorbell_id)
         where d.tenant_id = u.tenant_id and d.doorbell_id = u.doorbell_id",
        &column(held, |doorbell| doorbell.tenant_id) as &[TenantId],
        &column(held, |doorbell| doorbell.doorbell_id)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The number of doorbells, held ones included.
pub async fn count(conn: &mut PgConnection) -> Result<i64, Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from doorbells"#).fetch_one(conn).await
}

/// Seconds since the first ring of the oldest doorbell; none when there is no doorbell.
pub async fn oldest_age(conn: &mut PgConnection) -> Result<Option<i64>, Error> {
    sqlx::query_scalar!("select extract(epoch from now() - min(created_at))::bigint as seconds from doorbells")
        .fetch_one(conn)
        .await
}

/// Wakes the listeners of the embedded broker when this transaction commits.
///
/// NOTIFY takes a global lock at commit, so the relay and periodic call this function, and no send does.
pub async fn notify(conn: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("select pg_notify('regua_doorbells', '')").fetch_one(conn).await?;
    Ok(())
}
