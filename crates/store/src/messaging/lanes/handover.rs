//! Lanes that move from one worker to another without a doorbell. One worker offers lanes, or dies and lets their
//! leases expire; another takes them in groups.

use std::time::Duration;

use regua_domain::{InstanceId, LaneKey, TenantId};
use sqlx::{Error, PgConnection};

use super::{Lease, Released};
use crate::columns::column;
use crate::contacts::with_attempts_under_way;

/// How long after an offer periodic rings for the lane. The workers usually take the lane earlier.
pub(super) const RING_AFTER: Duration = Duration::from_secs(6);

/// Releases a lane and offers it to other workers. The bell does not matter, because the next worker claims at once.
pub async fn offer(conn: &mut PgConnection, lane: LaneKey, epoch: i64) -> Result<Released, Error> {
    let freed = sqlx::query!(
        "update lanes set leased_by = null, lease_expires_at = null, offered_at = now()
         where tenant_id = $1 and instance_id = $2 and lease_epoch = $3 and leased_by is not null",
        lane.tenant as TenantId,
        lane.instance as InstanceId,
        epoch
    )
    .execute(conn)
    .await?;
    Ok(if freed.rows_affected() > 0 { Released::Free } else { Released::Lost })
}

/// The number of offered lanes, and whether one of them was offered longer than `timeout` ago. Index `lanes_offered`.
pub async fn count_offered(conn: &mut PgConnection, timeout: Duration) -> Result<(usize, bool), Error> {
    let row = sqlx::query!(
        r#"select count(*) as "offered!", coalesce(min(offered_at) < now() - $1::interval, false) as "has_timed_out!"
           from lanes where offered_at is not null"#,
        timeout as Duration
    )
    .fetch_one(conn)
    .await?;
    Ok((usize::try_from(row.offered).unwrap_or(0), row.has_timed_out))
}

/// Leases up to `limit` lanes that were offered at least `offered_for` ago, the oldest offers first. Index
/// `lanes_offered`.
///
/// `was_abandoned` of such a lease: the lane has an attempt under way whose outcome the former worker could not write.
pub async fn take_offered(
    conn: &mut PgConnection,
    worker: &str,
    length: Duration,
    offered_for: Duration,
    limit: usize,
) -> Result<Vec<(LaneKey, Lease)>, Error> {
    let rows = sqlx::query!(
        r#"with offered as materialized (
             select tenant_id, instance_id from lanes
             where offered_at is not null and offered_at <= now() - $3::interval
             order by offered_at limit $4
             for update skip locked
         )
         update lanes l
         set leased_by = $1, lease_epoch = l.lease_epoch + 1, lease_expires_at = now() + $2, last_heartbeat = now(),
             rung_at = null, offered_at = null
         from offered o where l.tenant_id = o.tenant_id and l.instance_id = o.instance_id
         returning l.tenant_id as "tenant: TenantId", l.instance_id as "instance: InstanceId", l.lease_epoch, l.bell,
                   l.next_send_at"#,
        worker,
        length as Duration,
        offered_for as Duration,
        i64::try_from(limit).unwrap_or(i64::MAX)
    )
    .fetch_all(&mut *conn)
    .await?;
    let lanes = column(&rows, |row| LaneKey { tenant: row.tenant, instance: row.instance });
    let with_open_attempts = with_attempts_under_way(conn, &lanes).await?;
    let leased = lanes.into_iter().zip(rows).map(|(lane, row)| {
        let was_abandoned = with_open_attempts.contains(&lane);
        (lane, Lease { epoch: row.lease_epoch, bell: row.bell, next_send_at: row.next_send_at, was_abandoned })
    });
    Ok(leased.collect())
}

/// Finds up to `limit` lanes whose lease has expired, which the caller then takes. Hides each for `pause` from further
/// calls. Index `lanes_by_owner`.
pub async fn find_expired(conn: &mut PgConnection, pause: Duration, limit: usize) -> Result<Vec<LaneKey>, Error> {
    sqlx::query_as!(
        LaneKey,
        r#"with expired as materialized (
             select tenant_id, instance_id from lanes
             where leased_by is not null and lease_expires_at < now() and (rung_at is null or rung_at < now() - $1::interval)
             limit $2
             for no key update skip locked
         )
         update lanes l set rung_at = now()
         from expired e where l.tenant_id = e.tenant_id and l.instance_id = e.instance_id
         returning l.tenant_id as "tenant: TenantId", l.instance_id as "instance: InstanceId""#,
        pause as Duration,
        i64::try_from(limit).unwrap_or(i64::MAX)
    )
    .fetch_all(conn)
    .await
}
