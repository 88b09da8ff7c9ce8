//! How long a tenant's data is stored, and the deletion of older data (docs/privacy.md). Tables `tenant_configs`,
//! `queues`, `contacts`, `campaigns`, and over all tenants `sessions`, `login_failures` and `dead_letters`.

use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{CampaignId, ContactId, QueueId, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{Error, PgConnection};

use crate::dead_letters;

/// How long data is stored, in days of 24 hours after the end of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Retention {
    /// Data that identifies a debtor.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 36_500, example = 365))]
    pub personal_data_days: i32,
    /// The remaining data: times, states and ids of messages. At least `personal_data_days`.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 36_500, example = 1826))]
    pub proof_days: i32,
}

/// A tenant's retention.
pub async fn get(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<Retention>, Error> {
    sqlx::query_as!(
        Retention,
        "select personal_data_days, proof_days from tenant_configs where tenant_id = $1",
        tenant as TenantId
    )
    .fetch_optional(conn)
    .await
}

/// Sets a tenant's retention. Checks of the table refuse wrong values.
pub async fn put(conn: &mut PgConnection, tenant: TenantId, retention: Retention) -> Result<(), Error> {
    sqlx::query!(
        "update tenant_configs set personal_data_days = $2, proof_days = $3 where tenant_id = $1",
        tenant as TenantId,
        retention.personal_data_days,
        retention.proof_days
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A finished queue whose contacts' personal data is to be erased, locked until the transaction ends. Index
/// `queues_to_erase`.
pub async fn take_queue(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Option<(TenantId, QueueId)>, Error> {
    let row = sqlx::query!(
        r#"select q.tenant_id as "tenant_id: TenantId", q.queue_id as "queue_id: QueueId"
         from tenant_configs o cross join lateral (
             select due.tenant_id, due.queue_id from queues due
             where due.tenant_id = o.tenant_id and due.erased_at is null
               and due.finished_at < $1::timestamptz - o.personal_data_days * interval '24 hours'
             order by due.finished_at limit 1
         ) q limit 1"#,
        now
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let locked = sqlx::query_scalar!(
        r#"select queue_id as "queue_id: QueueId" from queues
         where tenant_id = $1 and queue_id = $2 and erased_at is null and finished_at is not null for no key update skip locked"#,
        row.tenant_id as TenantId,
        row.queue_id as QueueId
    )
    .fetch_optional(conn)
    .await?;
    Ok(locked.map(|queue| (row.tenant_id, queue)))
}

/// Contacts of a queue whose erasure was not requested yet, with their phone numbers. Index `contacts_of_queue`.
pub async fn list_contacts(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    limit: i64,
) -> Result<Vec<(ContactId, String)>, Error> {
    let rows = sqlx::query!(
        r#"select contact_id as "contact_id: ContactId", phone from contacts
         where tenant_id = $1 and queue_id = $2 and erasure_asked_at is null order by position limit $3"#,
        tenant as TenantId,
        queue as QueueId,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.contact_id, row.phone)).collect())
}

/// Marks a locked queue as erased after all its contacts, and erases the personal data in its campaign.
pub async fn mark_erased(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let campaign = sqlx::query_scalar!(
        r#"update queues set erased_at = $3 where tenant_id = $1 and queue_id = $2
           returning campaign_id as "campaign_id: CampaignId""#,
        tenant as TenantId,
        queue as QueueId,
        now
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!(
        "update campaigns set rejected = '[]', warnings = '[]', metadata = '{}' where tenant_id = $1 and campaign_id = $2",
        tenant as TenantId,
        campaign as CampaignId
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes one batch whose proof is no longer needed, with all its rows; false when there is none. Index
/// `queues_erased`.
pub async fn delete_batch(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<bool, Error> {
    let row = sqlx::query!(
        "select q.tenant_id, q.campaign_id
         from tenant_configs o cross join lateral (
             select due.tenant_id, due.campaign_id from queues due
             where due.tenant_id = o.tenant_id and due.erased_at is not null
               and due.finished_at < $1::timestamptz - o.proof_days * interval '24 hours'
             order by due.finished_at limit 1
         ) q limit 1",
        now
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(false) };
    let deleted =
        sqlx::query!("delete from campaigns where tenant_id = $1 and campaign_id = $2", row.tenant_id, row.campaign_id)
            .execute(conn)
            .await?;
    Ok(deleted.rows_affected() > 0)
}

/// An ended session is stored for so long: a login from the network of an earlier one is treated as known.
const SESSIONS: TimeDelta = TimeDelta::days(90);
/// Failed logins count for fifteen minutes.
const LOGIN_FAILURES: TimeDelta = TimeDelta::days(1);
const DEAD_LETTERS: TimeDelta = TimeDelta::days(90);

/// Deletes old sessions, login failures and dead letters, and the bodies of dead webhook events; returns how many. Indexes `sessions_by_expires_at` and
/// `login_failures_by_since`.
pub async fn delete_old(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<u64, Error> {
    let sessions = sqlx::query!(
        "with over as materialized (
             select tenant_id, session_id from sessions where expires_at < $1 order by expires_at limit $2)
         delete from sessions s using over o where s.tenant_id = o.tenant_id and s.session_id = o.session_id",
        now - SESSIONS,
        limit
    )
    .execute(&mut *conn)
    .await?;
    let failures = sqlx::query!(
        "with over as materialized (
             select tenant_id, email, network from login_failures where since < $1 order by since limit $2)
         delete from login_failures f using over o
         where f.tenant_id = o.tenant_id and f.email = o.email and f.network = o.network and f.since < $1",
        now - LOGIN_FAILURES,
        limit
    )
    .execute(&mut *conn)
    .await?;
    let letters =
        sqlx::query!("delete from dead_letters where died_at < $1", now - DEAD_LETTERS).execute(&mut *conn).await?;
    let emptied = dead_letters::empty_old_events(conn, now).await?;
    Ok(sessions.rows_affected() + failures.rows_affected() + letters.rows_affected() + emptied)
}
