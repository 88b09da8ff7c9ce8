//! Table `workers`: the worker processes that live, so that each knows its share of the lanes. It belongs to the platform
//! and to no tenant. A row lives by PostgreSQL's clock, as leases do; which lanes a worker holds stands in `lanes` alone.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;
use sqlx::{Error, PgConnection};

/// Rows of dead workers that one heartbeat removes at most.
const SWEPT: i64 = 20;

/// Who shares the lanes, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The workers that live, each with the lanes it holds.
    pub workers: Vec<(String, usize)>,
    /// Lanes that were let go for somebody else, and that nobody has taken yet.
    pub offered: usize,
    /// Lanes whose lease ran out, and that nobody has taken over yet.
    pub expired: usize,
}

/// Says that this worker lives, for so long; removes some of those that do not.
///
/// # Errors
/// The database's.
pub async fn beat(conn: &mut PgConnection, name: &str, lease: Duration) -> Result<(), Error> {
    let lease = PgInterval::try_from(lease).map_err(Error::Encode)?;
    sqlx::query!(
        "insert into workers (name, expires_at) values ($1, now() + $2::interval)
         on conflict (name) do update set expires_at = excluded.expires_at",
        name,
        lease
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "with dead as materialized (
             select name from workers where expires_at < now() limit $1 for update skip locked
         )
         delete from workers w using dead d where w.name = d.name",
        SWEPT
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Says that this worker takes no more lanes.
///
/// # Errors
/// The database's.
pub async fn remove(conn: &mut PgConnection, name: &str) -> Result<(), Error> {
    sqlx::query!("delete from workers where name = $1", name).execute(conn).await?;
    Ok(())
}

/// Who lives, and how many lanes each holds; counted and not kept, so that it cannot be wrong. One statement, so that a
/// lane that goes from hand to hand is seen once. Indexes `lanes_by_owner` and `lanes_offered`.
///
/// # Errors
/// The database's.
pub async fn survey(conn: &mut PgConnection) -> Result<Survey, Error> {
    let rows = sqlx::query!(
        r#"select w.name,
                  (select count(*) from lanes l where l.leased_by = w.name and l.lease_expires_at >= now()) as "lanes!",
                  (select count(*) from lanes where offered_at is not null) as "offered!",
                  (select count(*) from lanes where leased_by is not null and lease_expires_at < now()) as "expired!"
           from workers w where w.expires_at >= now()"#
    )
    .fetch_all(conn)
    .await?;
    let number = |count| usize::try_from(count).unwrap_or(0);
    let (offered, expired) = rows.first().map_or((0, 0), |row| (number(row.offered), number(row.expired)));
    let workers = rows.into_iter().map(|row| (row.name, number(row.lanes))).collect();
    Ok(Survey { workers, offered, expired })
}
