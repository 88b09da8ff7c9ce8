//! How many events wait, and the deletion of statuses when they are too many.

use regua_domain::{InstanceId, TenantId};
use sqlx::{Error, PgConnection};

/// The waiting events of one instance.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct WaitingOfInstance {
    pub instance_id: InstanceId,
    pub events: i64,
    pub bytes: i64,
}

/// The statuses to delete: the oldest until both are reached.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct OldestStatuses {
    pub events: i64,
    pub bytes: i64,
}

/// The gateway's events of a tenant that wait. Reads each of them, by index `webhook_events_due_of_tenant`. For an
/// event that an earlier version stored without its bytes, the size of the row counts.
pub async fn count_waiting(conn: &mut PgConnection, tenant: TenantId) -> Result<Vec<WaitingOfInstance>, Error> {
    sqlx::query_as!(
        WaitingOfInstance,
        r#"select instance_id as "instance_id!: InstanceId", count(*) as "events!",
                  sum(coalesce(bytes, pg_column_size(data))) as "bytes!"
           from webhook_events where tenant_id = $1 and source = 'evolution' group by instance_id"#,
        tenant as TenantId
    )
    .fetch_all(conn)
    .await
}

/// Lets one transaction at a time delete a tenant's statuses, until it ends.
pub async fn lock_waiting(conn: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('waiting ' || $1::text, 0))", tenant.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes the oldest statuses of an instance, or of all instances of the tenant, and never an event that may prove
/// that a message left; returns how many. It reads all of them, so it is called for many at once.
pub async fn delete_oldest_statuses(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: Option<InstanceId>,
    excess: OldestStatuses,
) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "with statuses as materialized (
             select webhook_event_id, row_number() over by_age as place, sum(bytes) over by_age - bytes as bytes_before
             from webhook_events
             where tenant_id = $1 and source = 'evolution' and not proves_sending
               and ($2::uuid is null or instance_id = $2)
             window by_age as (order by webhook_event_id rows unbounded preceding)
         )
         delete from webhook_events
         where tenant_id = $1 and webhook_event_id = any(array(
             select webhook_event_id from statuses where place <= $3 or bytes_before < $4))",
        tenant as TenantId,
        instance as Option<InstanceId>,
        excess.events,
        excess.bytes
    )
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
