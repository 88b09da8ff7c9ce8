//! Lanes that go from one worker to another without a doorbell: offered by the one, or lost by it, and taken in groups by
//! the other.

use std::time::Duration;

use regua_domain::{InstanceId, TenantId};
use sqlx::postgres::types::PgInterval;
use sqlx::{Error, PgConnection};

use super::{Lease, Released};
use crate::contacts::with_attempts_under_way;

/// For how long periodic leaves an offered lane to the workers: they take it sooner, or nobody shares.
pub(super) const LEFT_TO_WORKERS: Duration = Duration::from_secs(6);

/// Lets a lane go for somebody else to take, whatever was rung: whoever takes it looks.
///
/// # Errors
/// The database's.
pub async fn offer(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    epoch: i64,
) -> Result<Released, Error> {
    let freed = sqlx::query!(
        "update lanes set leased_by = null, lease_expires_at = null, offered_at = now()
         where tenant_id = $1 and instance_id = $2 and lease_epoch = $3 and leased_by is not null",
        tenant.0,
        instance.0,
        epoch
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(if freed > 0 { Released::Free } else { Released::Lost })
}

/// How many lanes are offered, and whether one has been for longer than `patience`. Index `lanes_offered`.
///
/// # Errors
/// The database's.
pub async fn offers(conn: &mut PgConnection, patience: Duration) -> Result<(usize, bool), Error> {
    let patience = PgInterval::try_from(patience).map_err(Error::Encode)?;
    let row = sqlx::query!(
        r#"select count(*) as "offered!", coalesce(min(offered_at) < now() - $1::interval, false) as "unwanted!"
           from lanes where offered_at is not null"#,
        patience
    )
    .fetch_one(conn)
    .await?;
    Ok((usize::try_from(row.offered).unwrap_or(0), row.unwanted))
}

/// Takes up to `limit` lanes that have been offered for `patience`, the oldest offers first. Index `lanes_offered`.
///
/// `was_abandoned` of a lease says that an attempt is under way in its lane, whose outcome could not be written down.
///
/// # Errors
/// The database's.
pub async fn take_offered(
    conn: &mut PgConnection,
    worker: &str,
    lease: Duration,
    patience: Duration,
    limit: usize,
) -> Result<Vec<(TenantId, InstanceId, Lease)>, Error> {
    let lease = PgInterval::try_from(lease).map_err(Error::Encode)?;
    let patience = PgInterval::try_from(patience).map_err(Error::Encode)?;
    let rows = sqlx::query!(
        "with offered as materialized (
             select tenant_id, instance_id from lanes
             where offered_at is not null and offered_at <= now() - $3::interval
             order by offered_at limit $4
             for update skip locked
         )
         update lanes l
         set leased_by = $1, lease_epoch = l.lease_epoch + 1, lease_expires_at = now() + $2, last_heartbeat = now(),
             rung_at = null, offered_at = null
         from offered o where l.tenant_id = o.tenant_id and l.instance_id = o.instance_id
         returning l.tenant_id, l.instance_id, l.lease_epoch, l.bell, l.next_send_at, l.sent_on, l.sent_that_day",
        worker,
        lease,
        patience,
        i64::try_from(limit).unwrap_or(i64::MAX)
    )
    .fetch_all(&mut *conn)
    .await?;
    let taken = rows.into_iter().map(|row| {
        let lease = Lease {
            epoch: row.lease_epoch,
            bell: row.bell,
            next_send_at: row.next_send_at,
            sent_on: row.sent_on,
            sent_that_day: row.sent_that_day,
            was_abandoned: false,
        };
        (TenantId(row.tenant_id), InstanceId(row.instance_id), lease)
    });
    let mut taken: Vec<_> = taken.collect();
    let lanes: Vec<_> = taken.iter().map(|(tenant, instance, _)| (*tenant, *instance)).collect();
    let unsettled = with_attempts_under_way(conn, &lanes).await?;
    for (tenant, instance, lease) in &mut taken {
        lease.was_abandoned = unsettled.contains(&(*tenant, *instance));
    }
    Ok(taken)
}

/// Up to `limit` lanes whose lease ran out and that nobody else was told of since `pause`: for the caller to take, each with
/// what has to be settled in it. Index `lanes_by_owner`.
///
/// # Errors
/// The database's.
pub async fn find_expired(
    conn: &mut PgConnection,
    pause: Duration,
    limit: usize,
) -> Result<Vec<(TenantId, InstanceId)>, Error> {
    let pause = PgInterval::try_from(pause).map_err(Error::Encode)?;
    let rows = sqlx::query!(
        "with expired as materialized (
             select tenant_id, instance_id from lanes
             where leased_by is not null and lease_expires_at < now() and (rung_at is null or rung_at < now() - $1::interval)
             limit $2
             for no key update skip locked
         )
         update lanes l set rung_at = now()
         from expired e where l.tenant_id = e.tenant_id and l.instance_id = e.instance_id
         returning l.tenant_id, l.instance_id",
        pause,
        i64::try_from(limit).unwrap_or(i64::MAX)
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), InstanceId(row.instance_id))).collect())
}
