//! The counts of a queue, kept with every change of its contacts.

use chrono::{DateTime, Utc};
use regua_domain::{ContactStatus, QueueId, TenantId};
use sqlx::{Error, PgConnection};

/// How the counts of one queue change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountChange {
    /// To be sent.
    pub pending: i32,
    /// Written down as being sent.
    pub sending: i32,
    /// Left.
    pub sent: i32,
    /// Refused, or tries used up.
    pub failed: i32,
    /// Nobody can say.
    pub unconfirmed: i32,
    /// A rule said no.
    pub skipped: i32,
    /// The queue was cancelled.
    pub cancelled: i32,
}

impl CountChange {
    /// One contact that went from one state to another.
    pub fn moved(from: ContactStatus, to: ContactStatus) -> Self {
        let mut change = Self::default();
        *change.of(from) -= 1;
        *change.of(to) += 1;
        change
    }

    /// The count of a state.
    pub fn of(&mut self, status: ContactStatus) -> &mut i32 {
        match status {
            ContactStatus::Pending => &mut self.pending,
            ContactStatus::Sending => &mut self.sending,
            ContactStatus::Sent => &mut self.sent,
            ContactStatus::Failed => &mut self.failed,
            ContactStatus::Unconfirmed => &mut self.unconfirmed,
            ContactStatus::Skipped => &mut self.skipped,
            ContactStatus::Cancelled => &mut self.cancelled,
        }
    }
}

/// Changes counts of locked queues. One that has nothing left to send is completed in the same statement: `failed` when
/// not one contact could be sent. One that was completed and has something to send again (an unconfirmed contact that is
/// sent once more) goes on; it must be rung for.
///
/// # Errors
/// The database's.
pub async fn change_counts(
    conn: &mut PgConnection,
    changes: &[(TenantId, QueueId, CountChange)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let column = |of: fn(&CountChange) -> i32| changes.iter().map(|change| of(&change.2)).collect::<Vec<_>>();
    sqlx::query!(
        "update queues q
         set pending = q.pending + u.pending, sending = q.sending + u.sending, sent = q.sent + u.sent,
             failed = q.failed + u.failed, unconfirmed = q.unconfirmed + u.unconfirmed,
             skipped = q.skipped + u.skipped, cancelled = q.cancelled + u.cancelled,
             status = case when q.status = 'cancelled' then q.status
                           when q.pending + u.pending + q.sending + u.sending > 0
                           then case when q.status in ('completed', 'failed') then 'pending' else q.status end
                           when q.failed + u.failed = q.total then 'failed'
                           else 'completed' end,
             finished_at = case when q.status <> 'cancelled' and q.pending + u.pending + q.sending + u.sending > 0
                                then null else coalesce(q.finished_at, $10) end
         from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::integer[], $6::integer[], $7::integer[],
                     $8::integer[], $9::integer[])
              as u (tenant_id, queue_id, pending, sending, sent, failed, unconfirmed, skipped, cancelled)
         where q.tenant_id = u.tenant_id and q.queue_id = u.queue_id",
        &changes.iter().map(|change| change.0.0).collect::<Vec<_>>(),
        &changes.iter().map(|change| change.1.0).collect::<Vec<_>>(),
        &column(|change| change.pending),
        &column(|change| change.sending),
        &column(|change| change.sent),
        &column(|change| change.failed),
        &column(|change| change.unconfirmed),
        &column(|change| change.skipped),
        &column(|change| change.cancelled),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}
