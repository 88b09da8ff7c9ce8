//! Table `events`: what happened to contacts, queues and instances, in the order in which readers see it
//! (docs/adr/0014-readers-of-events-miss-nothing.md).
//!
//! The statement that changes a contact, a queue or an instance inserts the event; here events are read and deleted.

use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{ContactId, EventKind, EventSeq, InstanceId, QueueId, TenantId};
use sqlx::{Error, PgConnection};

/// How long events are stored. The row-level security of the table refuses to delete a younger one.
const AGE: TimeDelta = TimeDelta::days(14);

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Event {
    /// The reader's next cursor.
    pub seq: EventSeq,
    pub kind: EventKind,
    /// Business time of the transaction.
    pub at: DateTime<Utc>,
    /// The queue, or the contact's queue.
    pub queue_id: Option<QueueId>,
    pub contact_id: Option<ContactId>,
    pub instance_id: Option<InstanceId>,
}

/// A tenant's events after `after`, at most `limit`, in the order of their numbers. A reader that goes on after the last
/// one misses no event and reads none twice, also when transactions are under way whose numbers are lower.
///
/// The transaction must be `read committed`, PostgreSQL's default: the second statement sees what the first one allows.
pub async fn list_after(
    conn: &mut PgConnection,
    tenant: TenantId,
    after: EventSeq,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let last =
        sqlx::query_scalar!(r#"select events_readable_up_to() as "last!: EventSeq""#).fetch_one(&mut *conn).await?;
    sqlx::query_as!(
        Event,
        r#"select seq as "seq: EventSeq", kind as "kind: EventKind", at, queue_id as "queue_id: QueueId",
                  contact_id as "contact_id: ContactId", instance_id as "instance_id: InstanceId"
           from events where tenant_id = $1 and seq > $2 and seq <= $3 order by seq limit $4"#,
        tenant as TenantId,
        after as EventSeq,
        last as EventSeq,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Deletes the oldest events of one tenant that are over age, at most `limit`; returns how many. One range of the primary
/// key: a tenant's events begin with the oldest.
pub async fn delete_old(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "with tenant as materialized (
             select o.tenant_id from tenant_configs o cross join lateral (
                 select first.at from events first where first.tenant_id = o.tenant_id order by first.seq limit 1
             ) oldest
             where oldest.at < $1 limit 1
         ), over as materialized (
             select max(old.seq) as last from (
                 select e.seq, e.at from tenant t cross join lateral (
                     select seq, at from events where tenant_id = t.tenant_id order by seq limit $2
                 ) e
             ) old where old.at < $1
         )
         delete from events e using tenant t, over o
         where e.tenant_id = t.tenant_id and e.seq <= o.last and e.at < $1",
        now - AGE,
        limit
    )
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
