//! Table `lanes`: which worker sends through which instance. PostgreSQL's clock ends a lease. Each lease has a higher
//! epoch than the one before, and claims and marks carry it: a worker that has lost its lease without noticing marks
//! nothing.

mod handover;
mod unattended;

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use regua_domain::{InstanceId, LaneKey, TenantId};
use sqlx::{Error, PgConnection};

pub use handover::{count_offered, find_expired, offer, take_offered};
pub use unattended::{count_expired, find_expired_to_ring, find_unattended_to_ring};

use crate::columns::column;

/// A lease that this worker holds until it expires.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The fence.
    pub epoch: i64,
    /// The lane's bell at the start of the lease; [`release`] refuses when the bell has been raised since.
    pub bell: i64,
    /// When the lane's pace allows the next send.
    pub next_send_at: Option<DateTime<Utc>>,
    /// The lease of the former worker expired: the caller closes the attempts that it left under way.
    pub was_abandoned: bool,
}

/// The result of [`lease`].
#[derive(Clone, Debug)]
pub enum LeaseResult {
    /// This worker holds the lane.
    Leased(Lease),
    /// The lane is leased; this call raised its bell.
    Held,
    /// There is no such lane.
    Missing,
}

/// Leases the lane if it is free or its lease has expired; otherwise raises its bell.
pub async fn lease(
    conn: &mut PgConnection,
    lane: LaneKey,
    worker: &str,
    length: Duration,
) -> Result<LeaseResult, Error> {
    loop {
        if let Some(lease) = lease_free(conn, lane, worker, length).await? {
            return Ok(LeaseResult::Leased(lease));
        }
        let is_held = sqlx::query_scalar!(
            r#"update lanes set bell = bell + 1 where tenant_id = $1 and instance_id = $2
               returning leased_by is not null and lease_expires_at >= now() as "is_held!""#,
            lane.tenant as TenantId,
            lane.instance as InstanceId
        )
        .fetch_optional(&mut *conn)
        .await?;
        match is_held {
            None => return Ok(LeaseResult::Missing),
            Some(true) => return Ok(LeaseResult::Held),
            // The lane was released between the two statements. This transaction has locked the row now, so the next
            // try succeeds.
            Some(false) => {}
        }
    }
}

async fn lease_free(
    conn: &mut PgConnection,
    lane: LaneKey,
    worker: &str,
    length: Duration,
) -> Result<Option<Lease>, Error> {
    sqlx::query_as!(
        Lease,
        r#"with before as materialized (
             select tenant_id, instance_id, leased_by from lanes
             where tenant_id = $1 and instance_id = $2 and (leased_by is null or lease_expires_at < now())
             for update
         )
         update lanes l
         set leased_by = $3, lease_epoch = l.lease_epoch + 1, lease_expires_at = now() + $4, last_heartbeat = now(),
             rung_at = null, offered_at = null
         from before b where l.tenant_id = b.tenant_id and l.instance_id = b.instance_id
         returning l.lease_epoch as epoch, l.bell, l.next_send_at, b.leased_by is not null as "was_abandoned!""#,
        lane.tenant as TenantId,
        lane.instance as InstanceId,
        worker,
        length as Duration
    )
    .fetch_optional(conn)
    .await
}

/// Renews the leases of these lanes under these epochs that have not expired, in one statement; returns the renewed
/// ones.
///
/// The lease of a lane that the worker leaves out expires. The statement locks rows in key order, as the attempt writer
/// does, so that the two do not deadlock.
pub async fn heartbeat(
    conn: &mut PgConnection,
    lanes: &[(LaneKey, i64)],
    length: Duration,
) -> Result<Vec<(LaneKey, i64)>, Error> {
    let rows = sqlx::query!(
        r#"with mine as materialized (
             select l.tenant_id, l.instance_id from lanes l
             join unnest($1::uuid[], $2::uuid[], $3::bigint[]) as u (tenant_id, instance_id, epoch)
               on l.tenant_id = u.tenant_id and l.instance_id = u.instance_id and l.lease_epoch = u.epoch
             where l.lease_expires_at >= now()
             order by l.tenant_id, l.instance_id
             for no key update of l
         )
         update lanes l set lease_expires_at = now() + $4, last_heartbeat = now()
         from mine m where l.tenant_id = m.tenant_id and l.instance_id = m.instance_id
         returning l.tenant_id as "tenant: TenantId", l.instance_id as "instance: InstanceId", l.lease_epoch"#,
        &column(lanes, |(lane, _)| lane.tenant) as &[TenantId],
        &column(lanes, |(lane, _)| lane.instance) as &[InstanceId],
        &column(lanes, |(_, epoch)| *epoch),
        length as Duration
    )
    .fetch_all(conn)
    .await?;
    Ok(column(&rows, |row| (LaneKey { tenant: row.tenant, instance: row.instance }, row.lease_epoch)))
}

/// The result of [`release`] and of [`offer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The lane is free.
    Free,
    /// The bell was raised since `seen_bell`, and has this value now: the worker claims once more.
    Rung(i64),
    /// Another worker has taken the lane.
    Lost,
}

/// Releases a lane, unless its bell was raised since `seen_bell`. With `None` the bell does not matter.
pub async fn release(
    conn: &mut PgConnection,
    lane: LaneKey,
    epoch: i64,
    seen_bell: Option<i64>,
) -> Result<Released, Error> {
    let freed = sqlx::query!(
        "update lanes set leased_by = null, lease_expires_at = null
         where tenant_id = $1 and instance_id = $2 and lease_epoch = $3 and leased_by is not null
           and ($4::bigint is null or bell = $4)",
        lane.tenant as TenantId,
        lane.instance as InstanceId,
        epoch,
        seen_bell
    )
    .execute(&mut *conn)
    .await?;
    if freed.rows_affected() > 0 {
        return Ok(Released::Free);
    }
    let bell = sqlx::query_scalar!(
        "select bell from lanes where tenant_id = $1 and instance_id = $2 and lease_epoch = $3 and leased_by is not null",
        lane.tenant as TenantId,
        lane.instance as InstanceId,
        epoch
    )
    .fetch_optional(conn)
    .await?;
    Ok(bell.map_or(Released::Lost, Released::Rung))
}

/// Locks, in key order, the given lanes that are still leased under the given epochs; returns them. Until the
/// transaction ends no other worker takes them, so none is taken between a mark and its commit.
pub async fn lock(conn: &mut PgConnection, lanes: &[(LaneKey, i64)]) -> Result<Vec<LockedLane>, Error> {
    let mut locked = sqlx::query_as!(
        LockedLane,
        r#"select l.tenant_id as "tenant_id: TenantId", l.instance_id as "instance_id: InstanceId", l.next_send_at, l.sent_on,
                  l.sent_that_day, l.leased_by is not null as "is_held!"
           from lanes l
           join unnest($1::uuid[], $2::uuid[], $3::bigint[]) as u (tenant_id, instance_id, epoch)
             on l.tenant_id = u.tenant_id and l.instance_id = u.instance_id and l.lease_epoch = u.epoch
           order by l.tenant_id, l.instance_id
           for no key update of l"#,
        &column(lanes, |(lane, _)| lane.tenant) as &[TenantId],
        &column(lanes, |(lane, _)| lane.instance) as &[InstanceId],
        &column(lanes, |(_, epoch)| *epoch)
    )
    .fetch_all(conn)
    .await?;
    // Filtered here and not in SQL: with statistics of a time when all lanes were free, the planner would use the index
    // of the held lanes, and read thousands for a few.
    locked.retain(|lane| lane.is_held);
    Ok(locked)
}

/// A lane whose row is locked until the transaction ends.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct LockedLane {
    pub tenant_id: TenantId,
    pub instance_id: InstanceId,
    /// When the lane's pace allows the next send.
    pub next_send_at: Option<DateTime<Utc>>,
    /// The day of `sent_that_day`, in the tenant's time zone.
    pub sent_on: Option<NaiveDate>,
    pub sent_that_day: i32,
    /// False only while [`lock`] reads the row.
    pub is_held: bool,
}

impl LockedLane {
    /// The key of the lane.
    pub const fn key(&self) -> LaneKey {
        LaneKey { tenant: self.tenant_id, instance: self.instance_id }
    }
}

/// Writes the pace and the daily counts of lanes that [`lock`] has locked.
pub async fn advance(conn: &mut PgConnection, lanes: &[LockedLane]) -> Result<(), Error> {
    sqlx::query!(
        "update lanes l set next_send_at = u.next_send_at, sent_on = u.sent_on, sent_that_day = u.sent_that_day
         from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::date[], $5::integer[])
              as u (tenant_id, instance_id, next_send_at, sent_on, sent_that_day)
         where l.tenant_id = u.tenant_id and l.instance_id = u.instance_id",
        &column(lanes, |lane| lane.tenant_id) as &[TenantId],
        &column(lanes, |lane| lane.instance_id) as &[InstanceId],
        &column(lanes, |lane| lane.next_send_at) as &[Option<DateTime<Utc>>],
        &column(lanes, |lane| lane.sent_on) as &[Option<NaiveDate>],
        &column(lanes, |lane| lane.sent_that_day)
    )
    .execute(conn)
    .await?;
    Ok(())
}
