//! The task of one attempt: mark, post, finish. The task ends when the attempt writer has accepted the outcome, so that
//! the lane does not wait for the commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use regua_domain::{AttemptOutcome, ContactId, QueueId, Rule};
use regua_evolution::InstanceAddress;
use regua_store::contacts::Claimed;

use super::Context;
use super::sent_log::PostedAttempt;
use crate::attempt::{Finish, Mark, MarkFailed, MarkResult, OutcomeReceipt, post};
use crate::claims::ClaimedQueue;
use crate::lane_configs::LaneConfig;
use crate::lease::HeldLease;
use crate::next_state::{NextState, next_state, not_posted};

/// Pause before a failed mark is repeated.
const MARK_RETRY_PAUSE: Duration = Duration::from_millis(200);

pub(super) struct SendTask {
    pub(super) context: Arc<Context>,
    pub(super) lease: Arc<HeldLease>,
    pub(super) config: Arc<LaneConfig>,
    pub(super) address: Arc<InstanceAddress>,
    pub(super) queue: ClaimedQueue,
    pub(super) contact: Claimed,
    pub(super) mark: Mark,
}

pub(super) struct SendReport {
    pub(super) contact: ContactId,
    pub(super) end: SendEnd,
    /// When the instance may send next; none without a mark.
    pub(super) next_send_at: Option<DateTime<Utc>>,
    /// None without a mark.
    pub(super) receipt: Option<OutcomeReceipt>,
}

pub(super) enum SendEnd {
    /// The message left, so the instance is connected.
    Sent,
    /// The attempt has any other outcome. `looks_down`: the outcome suggests that the instance is down.
    NotSent {
        looks_down: bool,
    },
    /// The contact is never sent: the mark skipped it, or its state was final already.
    Skipped,
    /// Another transaction has locked the contact, or changed it since the claim. If the contact is still pending, a
    /// later claim reads it again. The slot is unused, so the instance may send at `next_send_at`.
    Outdated {
        next_send_at: Option<DateTime<Utc>>,
    },
    /// The contact and its queue must wait.
    OnHold {
        queue: QueueId,
        until: Option<DateTime<Utc>>,
        rule: Rule,
    },
    LeaseLost,
    /// Nothing was posted: the process shuts down, the lease is no longer valid, or the stored phone number is invalid.
    Stopped,
}

impl SendTask {
    pub(super) async fn run(self) -> SendReport {
        let mut may_be_marked = false;
        let end = match self.mark(&mut may_be_marked).await {
            Ok((send_at, next_send_at, attempts)) => return self.post(send_at, next_send_at, attempts).await,
            Err(end) => end,
        };
        // A mark that was not answered may be committed. Nothing was posted, so the attempt is closed as not sent.
        let receipt = if may_be_marked { Some(self.finish(not_posted(self.context.clock.now())).await) } else { None };
        SendReport { contact: self.contact.contact_id, end, next_send_at: None, receipt }
    }

    /// Marks the attempt, and repeats the mark until the database answers. Returns the time of this send, the time of
    /// the lane's next send, and the attempt's number for the retry schedule.
    async fn mark(&self, may_be_marked: &mut bool) -> Result<(DateTime<Utc>, DateTime<Utc>, u16), SendEnd> {
        loop {
            if self.context.shutdown.is_cancelled() || !self.lease.is_valid() {
                return Err(SendEnd::Stopped);
            }
            let mark = Mark { is_repeated: *may_be_marked, ..self.mark.clone() };
            match self.context.attempt_writer.mark(mark).await {
                Ok(MarkResult::Send { send_at, next_send_at, attempts }) => {
                    return Ok((send_at, next_send_at, attempts));
                }
                Ok(MarkResult::Hold { until: Some(at), rule: Rule::Pacing }) => self.sleep_until(at).await,
                Ok(MarkResult::Hold { until, rule }) => {
                    return Err(SendEnd::OnHold { queue: self.mark.queue, until, rule });
                }
                Ok(MarkResult::Skip { .. }) => return Err(SendEnd::Skipped),
                Ok(MarkResult::Outdated { next_send_at }) => return Err(SendEnd::Outdated { next_send_at }),
                Ok(MarkResult::LeaseLost) => return Err(SendEnd::LeaseLost),
                Err(MarkFailed) => {
                    *may_be_marked = true;
                    tokio::time::sleep(MARK_RETRY_PAUSE).await;
                }
            }
        }
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        tokio::select! {
            () = self.context.clock.sleep_until(at) => {}
            () = self.context.shutdown.cancelled() => {}
        }
    }

    /// Posts once, at the attempt's slot.
    async fn post(self, send_at: DateTime<Utc>, next_send_at: DateTime<Utc>, attempts: u16) -> SendReport {
        if send_at > self.context.clock.now() {
            self.sleep_until(send_at).await;
        }
        let Context { gateway, clock, .. } = &*self.context;
        let started = Instant::now();
        let (end, next) = match post(gateway, &self.address, &self.contact, &self.lease, clock).await {
            Ok(outcome) => {
                let next = next_state(&outcome, self.contact.contact_id, attempts, &self.config.retry, clock.now());
                self.log_and_count(started.elapsed(), &next);
                let looks_down = outcome.instance_looks_down();
                let is_sent = next.outcome == AttemptOutcome::Sent;
                (if is_sent { SendEnd::Sent } else { SendEnd::NotSent { looks_down } }, next)
            }
            Err(next) => (SendEnd::Stopped, next),
        };
        let receipt = Some(self.finish(next).await);
        SendReport { contact: self.contact.contact_id, end, next_send_at: Some(next_send_at), receipt }
    }

    async fn finish(&self, next_state: NextState) -> OutcomeReceipt {
        let Mark { tenant, instance, queue, contact, attempt, .. } = self.mark;
        self.context.attempt_writer.finish(Finish { tenant, instance, queue, contact, attempt, next_state }).await
    }

    fn log_and_count(&self, duration: Duration, next: &NextState) {
        let Mark { tenant, queue, contact, instance, .. } = self.mark;
        let ClaimedQueue { campaign, message_type } = self.queue;
        let posted = PostedAttempt { tenant, campaign, contact, queue, message_type, instance };
        if next.outcome == AttemptOutcome::Sent {
            posted.log_sent();
        } else {
            posted.log_unsent(next);
        }
        let tenant = tenant.to_string();
        let metrics = &self.context.metrics;
        let message_type = message_type.as_str();
        metrics.messages_sent.with_label_values(&[tenant.as_str(), message_type, next.outcome.as_str()]).inc();
        metrics.send_duration.with_label_values(&[tenant.as_str(), message_type]).observe(duration.as_secs_f64());
    }
}
