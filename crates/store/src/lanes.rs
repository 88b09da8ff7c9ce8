//! Table `lanes`: who sends through which number. A lease lives by PostgreSQL's clock, and its epoch fences every write of
//! its owner: the epoch only grows, so that an owner that lost the lane and does not know it can change nothing.

mod overrun;
mod shared;
mod unattended;

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use regua_domain::{InstanceId, TenantId};
use sqlx::postgres::types::PgInterval;
use sqlx::{Error, PgConnection};

pub use overrun::count_expired;
pub use shared::{find_expired, offer, offers, take_offered};
pub use unattended::{expired, unattended};

/// A lane that is ours until the lease runs out.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The fence.
    pub epoch: i64,
    /// What the bell stood at; [`release`] refuses when somebody has rung since.
    pub bell: i64,
    /// When the number may send again.
    pub next_send_at: Option<DateTime<Utc>>,
    /// The day of `sent_that_day`, in the tenant's zone.
    pub sent_on: Option<NaiveDate>,
    /// Messages of that day.
    pub sent_that_day: i32,
    /// The owner before us died or was frozen: what it had under way must be settled.
    pub was_abandoned: bool,
}

/// What became of an attempt to take a lane.
#[derive(Clone, Debug)]
pub enum Taken {
    /// It is ours.
    Ours(Lease),
    /// Somebody else holds it, and was told to look once more.
    Held,
    /// There is no such lane.
    Missing,
}

/// Takes the lane if nobody holds it or its lease ran out; otherwise rings its owner.
///
/// # Errors
/// The database's.
pub async fn take(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    worker: &str,
    lease: Duration,
) -> Result<Taken, Error> {
    loop {
        if let Some(lease) = take_free(conn, tenant, instance, worker, lease).await? {
            return Ok(Taken::Ours(lease));
        }
        let rung = sqlx::query!(
            r#"update lanes set bell = bell + 1 where tenant_id = $1 and instance_id = $2
               returning leased_by is not null and lease_expires_at >= now() as "is_held!""#,
            tenant.0,
            instance.0
        )
        .fetch_optional(&mut *conn)
        .await?;
        match rung {
            None => return Ok(Taken::Missing),
            Some(rung) if rung.is_held => return Ok(Taken::Held),
            // It was let go between the two looks; its row is ours until the transaction ends, so the next one takes it.
            Some(_) => {}
        }
    }
}

async fn take_free(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    worker: &str,
    lease: Duration,
) -> Result<Option<Lease>, Error> {
    let lease = PgInterval::try_from(lease).map_err(Error::Encode)?;
    let ours = sqlx::query!(
        r#"with before as materialized (
             select tenant_id, instance_id, leased_by from lanes
             where tenant_id = $1 and instance_id = $2 and (leased_by is null or lease_expires_at < now())
             for update
         )
         update lanes l
         set leased_by = $3, lease_epoch = l.lease_epoch + 1, lease_expires_at = now() + $4, last_heartbeat = now(),
             rung_at = null, offered_at = null
         from before b where l.tenant_id = b.tenant_id and l.instance_id = b.instance_id
         returning l.lease_epoch, l.bell, l.next_send_at, l.sent_on, l.sent_that_day,
                   b.leased_by is not null as "was_abandoned!""#,
        tenant.0,
        instance.0,
        worker,
        lease
    )
    .fetch_optional(conn)
    .await?;
    Ok(ours.map(|row| Lease {
        epoch: row.lease_epoch,
        bell: row.bell,
        next_send_at: row.next_send_at,
        sent_on: row.sent_on,
        sent_that_day: row.sent_that_day,
        was_abandoned: row.was_abandoned,
    }))
}

/// A lane whose lease was prolonged, with its epoch.
pub type Beat = (TenantId, InstanceId, i64);

/// Prolongs the leases of these lanes that have not run out, in one statement; answers those that are still ours.
///
/// A lane that its worker has stopped serving is not among them, and so runs out. Rows are locked in key order, as the
/// ledger locks them, so that the two never wait for each other in a circle.
///
/// # Errors
/// The database's.
pub async fn heartbeat(conn: &mut PgConnection, lanes: &[Beat], lease: Duration) -> Result<Vec<Beat>, Error> {
    let lease = PgInterval::try_from(lease).map_err(Error::Encode)?;
    let rows = sqlx::query!(
        "with mine as materialized (
             select l.tenant_id, l.instance_id from lanes l
             join unnest($1::uuid[], $2::uuid[], $3::bigint[]) as u (tenant_id, instance_id, epoch)
               on l.tenant_id = u.tenant_id and l.instance_id = u.instance_id and l.lease_epoch = u.epoch
             where l.lease_expires_at >= now()
             order by l.tenant_id, l.instance_id
             for no key update of l
         )
         update lanes l set lease_expires_at = now() + $4, last_heartbeat = now()
         from mine m where l.tenant_id = m.tenant_id and l.instance_id = m.instance_id
         returning l.tenant_id, l.instance_id, l.lease_epoch",
        &lanes.iter().map(|lane| lane.0.0).collect::<Vec<_>>(),
        &lanes.iter().map(|lane| lane.1.0).collect::<Vec<_>>(),
        &lanes.iter().map(|lane| lane.2).collect::<Vec<_>>(),
        lease
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), InstanceId(row.instance_id), row.lease_epoch)).collect())
}

/// What became of letting a lane go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// It is free.
    Free,
    /// Somebody rang meanwhile: look once more. The bell now stands at this.
    Rung(i64),
    /// It was not ours any more.
    Lost,
}

/// Lets a lane go, unless somebody rang since `seen_bell` (none: let it go whatever was rung).
///
/// # Errors
/// The database's.
pub async fn release(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    epoch: i64,
    seen_bell: Option<i64>,
) -> Result<Released, Error> {
    let freed = sqlx::query!(
        "update lanes set leased_by = null, lease_expires_at = null
         where tenant_id = $1 and instance_id = $2 and lease_epoch = $3 and leased_by is not null
           and ($4::bigint is null or bell = $4)",
        tenant.0,
        instance.0,
        epoch,
        seen_bell
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if freed > 0 {
        return Ok(Released::Free);
    }
    let row = sqlx::query!(
        "select bell from lanes where tenant_id = $1 and instance_id = $2 and lease_epoch = $3 and leased_by is not null",
        tenant.0,
        instance.0,
        epoch
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map_or(Released::Lost, |row| Released::Rung(row.bell)))
}

/// Of these lanes, those whose epoch still stands, locked in key order until the transaction ends, so that no takeover
/// can come between a mark and its commit.
///
/// # Errors
/// The database's.
pub async fn lock(conn: &mut PgConnection, lanes: &[(TenantId, InstanceId, i64)]) -> Result<Vec<LockedLane>, Error> {
    let tenants: Vec<_> = lanes.iter().map(|lane| lane.0.0).collect();
    let instances: Vec<_> = lanes.iter().map(|lane| lane.1.0).collect();
    let epochs: Vec<_> = lanes.iter().map(|lane| lane.2).collect();
    let rows = sqlx::query!(
        r#"select l.tenant_id, l.instance_id, l.next_send_at, l.sent_on, l.sent_that_day,
                  l.leased_by is not null as "is_held!"
           from lanes l
           join unnest($1::uuid[], $2::uuid[], $3::bigint[]) as u (tenant_id, instance_id, epoch)
             on l.tenant_id = u.tenant_id and l.instance_id = u.instance_id and l.lease_epoch = u.epoch
           order by l.tenant_id, l.instance_id
           for no key update of l"#,
        &tenants,
        &instances,
        &epochs
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        // Asked here and not there: all lanes may have been free when PostgreSQL last counted, and then it would take the
        // index of those that are held for the shortest way, and walk thousands for a few.
        .filter(|row| row.is_held)
        .map(|row| LockedLane {
            tenant_id: TenantId(row.tenant_id),
            instance_id: InstanceId(row.instance_id),
            next_send_at: row.next_send_at,
            sent_on: row.sent_on,
            sent_that_day: row.sent_that_day,
        })
        .collect())
}

/// A lane whose epoch stands until the transaction ends.
#[derive(Clone, Debug)]
pub struct LockedLane {
    /// Whose number it is.
    pub tenant_id: TenantId,
    /// The number.
    pub instance_id: InstanceId,
    /// When the number may send again.
    pub next_send_at: Option<DateTime<Utc>>,
    /// The day of `sent_that_day`.
    pub sent_on: Option<NaiveDate>,
    /// Messages of that day.
    pub sent_that_day: i32,
}

/// Writes what sending moved on. The rows must have been locked by [`lock`].
///
/// # Errors
/// The database's.
pub async fn advance(conn: &mut PgConnection, lanes: &[LockedLane]) -> Result<(), Error> {
    sqlx::query!(
        "update lanes l set next_send_at = u.next_send_at, sent_on = u.sent_on, sent_that_day = u.sent_that_day
         from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::date[], $5::integer[])
              as u (tenant_id, instance_id, next_send_at, sent_on, sent_that_day)
         where l.tenant_id = u.tenant_id and l.instance_id = u.instance_id",
        &lanes.iter().map(|lane| lane.tenant_id.0).collect::<Vec<_>>(),
        &lanes.iter().map(|lane| lane.instance_id.0).collect::<Vec<_>>(),
        &lanes.iter().map(|lane| lane.next_send_at).collect::<Vec<_>>() as &[Option<DateTime<Utc>>],
        &lanes.iter().map(|lane| lane.sent_on).collect::<Vec<_>>() as &[Option<NaiveDate>],
        &lanes.iter().map(|lane| lane.sent_that_day).collect::<Vec<_>>()
    )
    .execute(conn)
    .await?;
    Ok(())
}
