//! The counts of a queue, which change in the transaction that changes its contacts.

use chrono::{DateTime, Utc};
use regua_domain::{ContactStatus, QueueId, TenantId};
use sqlx::{Error, PgConnection};

use crate::columns::column;

/// Differences of one queue's counts, by contact state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountChange {
    /// State `pending`.
    pub pending: i32,
    /// State `sending`.
    pub sending: i32,
    /// State `sent`.
    pub sent: i32,
    /// State `failed`.
    pub failed: i32,
    /// State `unconfirmed`.
    pub unconfirmed: i32,
    /// State `skipped`.
    pub skipped: i32,
    /// State `cancelled`.
    pub cancelled: i32,
}

impl CountChange {
    /// One contact moved from one state to another.
    pub fn moved(from: ContactStatus, to: ContactStatus) -> Self {
        let mut change = Self::default();
        *change.of(from) -= 1;
        *change.of(to) += 1;
        change
    }

    /// The difference of one state's count.
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

/// Changes the counts of locked queues. The same statement completes a queue without unfinished contacts (`failed` when
/// all contacts failed), and makes a completed queue `pending` that has a contact to send again; the caller rings for
/// it.
pub async fn change_counts(
    conn: &mut PgConnection,
    changes: &[(TenantId, QueueId, CountChange)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let counts = |of: fn(&CountChange) -> i32| column(changes, |change| of(&change.2));
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
        &column(changes, |change| change.0) as &[TenantId],
        &column(changes, |change| change.1) as &[QueueId],
        &counts(|change| change.pending),
        &counts(|change| change.sending),
        &counts(|change| change.sent),
        &counts(|change| change.failed),
        &counts(|change| change.unconfirmed),
        &counts(|change| change.skipped),
        &counts(|change| change.cancelled),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}
