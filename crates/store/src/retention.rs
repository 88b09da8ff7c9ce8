//! How long a tenant's data is kept, and what is over (docs/privacy.md). Tables `tenant_configs`, `queues`, `contacts`, `campaigns`,
//! and of the platform's own `sessions`, `login_failures` and `dead_letters`.

use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{ContactId, QueueId, TenantId};
use sqlx::{Error, PgConnection};

/// For how long a tenant's data is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days after the end of its batch for which a contact keeps what says who it is.
    pub personal_data_days: i32,
    /// Days after the end of a batch for which the rest of it is kept; not fewer.
    pub proof_days: i32,
}

/// A tenant's; none when there is no such tenant.
///
/// # Errors
/// The database's.
pub async fn get(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<Retention>, Error> {
    sqlx::query_as!(
        Retention,
        "select personal_data_days, proof_days from tenant_configs where tenant_id = $1",
        tenant.0
    )
    .fetch_optional(conn)
    .await
}

/// Sets a tenant's.
///
/// # Errors
/// The database's, including values outside their checks.
pub async fn put(conn: &mut PgConnection, tenant: TenantId, retention: Retention) -> Result<(), Error> {
    sqlx::query!(
        "update tenant_configs set personal_data_days = $2, proof_days = $3 where tenant_id = $1",
        tenant.0,
        retention.personal_data_days,
        retention.proof_days
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A finished batch whose contacts have said for long enough who they are; nobody else works on it until the transaction ends. Index
/// `queues_to_erase`.
///
/// # Errors
/// The database's.
pub async fn take_queue(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Option<(TenantId, QueueId)>, Error> {
    let row = sqlx::query!(
        "select q.tenant_id, q.queue_id
         from tenant_configs o cross join lateral (
             select due.tenant_id, due.queue_id from queues due
             where due.tenant_id = o.tenant_id and due.erased_at is null
               and due.finished_at < $1::timestamptz - o.personal_data_days * interval '24 hours'
             order by due.finished_at limit 1
         ) q limit 1",
        now
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let locked = sqlx::query!(
        "select queue_id from queues
         where tenant_id = $1 and queue_id = $2 and erased_at is null and finished_at is not null for no key update skip locked",
        row.tenant_id,
        row.queue_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(locked.map(|locked| (TenantId(row.tenant_id), QueueId(locked.queue_id))))
}

/// Contacts of a batch that say who they are, and to which number they were. Index `contacts_of_queue`.
///
/// # Errors
/// The database's.
pub async fn contacts_of(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    limit: i64,
) -> Result<Vec<(ContactId, String)>, Error> {
    let rows = sqlx::query!(
        "select contact_id, phone from contacts
         where tenant_id = $1 and queue_id = $2 and erasure_asked_at is null order by position limit $3",
        tenant.0,
        queue.0,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (ContactId(row.contact_id), row.phone)).collect())
}

/// Notes that all contacts of a locked batch are erased, and erases what the batch itself says of them.
///
/// # Errors
/// The database's.
pub async fn close(conn: &mut PgConnection, tenant: TenantId, queue: QueueId, now: DateTime<Utc>) -> Result<(), Error> {
    let campaign = sqlx::query!(
        "update queues set erased_at = $3 where tenant_id = $1 and queue_id = $2 returning campaign_id",
        tenant.0,
        queue.0,
        now
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!(
        "update campaigns set rejected = '[]', warnings = '[]', metadata = '{}' where tenant_id = $1 and campaign_id = $2",
        tenant.0,
        campaign.campaign_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes one batch whose proof has been kept for long enough, with all that belongs to it; false where there is none. Index
/// `queues_erased`.
///
/// # Errors
/// The database's.
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
    let done =
        sqlx::query!("delete from campaigns where tenant_id = $1 and campaign_id = $2", row.tenant_id, row.campaign_id)
            .execute(conn)
            .await?;
    Ok(done.rows_affected() > 0)
}

/// For how long an ended session is remembered: where somebody came in from before counts at a login.
const SESSIONS: TimeDelta = TimeDelta::days(90);
/// Wrong passwords count for fifteen minutes.
const LOGIN_FAILURES: TimeDelta = TimeDelta::days(1);
/// Whoever looks after the system has seen them by then.
const DEAD_LETTERS: TimeDelta = TimeDelta::days(90);

/// Forgets sessions, wrong passwords and dead letters that are over; answers how many. Indexes `sessions_by_expires_at` and
/// `login_failures_by_since`.
///
/// # Errors
/// The database's.
pub async fn forget_over(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<u64, Error> {
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
    let letters = sqlx::query!("delete from dead_letters where died_at < $1", now - DEAD_LETTERS).execute(conn).await?;
    Ok(sessions.rows_affected() + failures.rows_affected() + letters.rows_affected())
}
