//! Table `workers`: the live worker processes, from which each computes its target. The table belongs to the platform
//! and to no tenant. A row expires by PostgreSQL's clock, like a lease. The lanes of a worker are only in `lanes`.

use std::time::Duration;

use sqlx::{Error, PgConnection};

/// Most rows of dead workers that one heartbeat deletes.
const DELETED_ROWS: i64 = 20;

/// The lanes of the live workers, at one moment.
#[derive(Clone, Debug, Default)]
pub struct LaneCounts {
    /// The name of each live worker, and the number of lanes that it holds.
    pub workers: Vec<(String, usize)>,
    /// Offered lanes.
    pub offered: usize,
    /// Lanes whose lease has expired.
    pub expired: usize,
}

/// Makes the worker's row expire `lease` from now; deletes some expired rows of dead workers.
pub async fn heartbeat(conn: &mut PgConnection, name: &str, lease: Duration) -> Result<(), Error> {
    sqlx::query!(
        "insert into workers (name, expires_at) values ($1, now() + $2::interval)
         on conflict (name) do update set expires_at = excluded.expires_at",
        name,
        lease as Duration
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "with dead as materialized (
             select name from workers where expires_at < now() limit $1 for update skip locked
         )
         delete from workers w using dead d where w.name = d.name",
        DELETED_ROWS
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes the row of a worker that takes no more lanes.
pub async fn remove(conn: &mut PgConnection, name: &str) -> Result<(), Error> {
    sqlx::query!("delete from workers where name = $1", name).execute(conn).await?;
    Ok(())
}

/// Counts the lanes of each live worker. One statement, so that a lane that moves is counted once. Indexes
/// `lanes_by_owner` and `lanes_offered`.
pub async fn count_lanes(conn: &mut PgConnection) -> Result<LaneCounts, Error> {
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
    Ok(LaneCounts { workers, offered, expired })
}
