//! The task of one attempt: mark, post, finish. The task ends when the attempt writer has accepted the outcome, so that
//! the lane does not wait for the commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use fail::fail_point;
use regua_domain::{AttemptOutcome, ContactId, PhoneNumber, QueueId, Rule};
use regua_evolution::{InstanceAddress, Outcome, Reason};
use regua_store::attempts::AttemptKey;
use regua_store::contacts::{ClaimedContact, NewAttempt, NextState};

use super::Context;
use super::sent_log::PostedAttempt;
use crate::attempt::{Mark, MarkFailed, NotMarked, OutcomeReceipt, Slot};
use crate::claims::ClaimedQueue;
use crate::lease::HeldLease;
use crate::next_state::{next_state, not_posted, unreadable_number, without_socket};

/// Pause before a failed mark is repeated.
const MARK_RETRY_PAUSE: Duration = Duration::from_millis(200);

pub(super) struct SendTask {
    pub(super) context: Arc<Context>,
    pub(super) lease: Arc<HeldLease>,
    pub(super) address: Arc<InstanceAddress>,
    pub(super) queue: ClaimedQueue,
    pub(super) contact: ClaimedContact,
    pub(super) mark: Mark,
}

pub(super) struct SendReport {
    pub(super) contact: ContactId,
    pub(super) queue: QueueId,
    pub(super) end: SendEnd,
    /// When the instance may send next; none without a mark.
    pub(super) next_send_at: Option<DateTime<Utc>>,
    /// None without a mark.
    pub(super) receipt: Option<OutcomeReceipt>,
}

pub(super) enum SendEnd {
    /// The message left, so the instance is connected.
    Sent,
    OtherOutcome {
        suggests_instance_down: bool,
    },
    NotMarked(NotMarked),
    /// Nothing was posted: this machine had no socket.
    WithoutSocket,
    /// Nothing was posted: the process shuts down, the lease is no longer valid, or the stored phone number is invalid.
    Stopped,
}

impl SendTask {
    pub(super) async fn run(self) -> SendReport {
        let mut may_be_marked = false;
        let end = match self.mark(&mut may_be_marked).await {
            Ok(slot) => return self.post(slot).await,
            Err(end) => end,
        };
        // A mark that was not answered may be committed. Nothing was posted, so the attempt is closed as not sent.
        let receipt = if may_be_marked { Some(self.finish(not_posted(self.context.clock.now())).await) } else { None };
        self.report(end, None, receipt)
    }

    /// Marks the attempt, and repeats the mark until the database answers.
    async fn mark(&self, may_be_marked: &mut bool) -> Result<Slot, SendEnd> {
        loop {
            if self.context.shutdown.is_cancelled() || !self.lease.is_valid() {
                return Err(SendEnd::Stopped);
            }
            let mark = Mark { is_repeated: *may_be_marked, ..self.mark.clone() };
            match self.context.attempt_writer.mark(mark).await {
                Ok(Err(NotMarked::Hold { until: Some(at), rule: Rule::Pacing })) => self.sleep_until(at).await,
                Ok(result) => return result.map_err(SendEnd::NotMarked),
                Err(MarkFailed) => {
                    *may_be_marked = true;
                    tokio::time::sleep(MARK_RETRY_PAUSE).await;
                }
            }
        }
    }

    fn report(&self, end: SendEnd, next_send_at: Option<DateTime<Utc>>, receipt: Option<OutcomeReceipt>) -> SendReport {
        SendReport { contact: self.contact.contact_id, queue: self.contact.queue_id, end, next_send_at, receipt }
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        tokio::select! {
            () = self.context.clock.sleep_until(at) => {}
            () = self.context.shutdown.cancelled() => {}
        }
    }

    /// Posts once, at the attempt's slot.
    async fn post(self, Slot { send_at, next_send_at, attempts }: Slot) -> SendReport {
        if send_at > self.context.clock.now() {
            self.sleep_until(send_at).await;
        }
        let started = Instant::now();
        let (end, next) = match self.post_once().await {
            Ok(outcome) if outcome.reason() == Some(Reason::NoSocket) => {
                self.context.send_budget.count_without_socket();
                (SendEnd::WithoutSocket, without_socket(self.context.clock.now()))
            }
            Ok(outcome) => {
                let (now, retry) = (self.context.clock.now(), &self.mark.config.retry);
                let next = next_state(&outcome, self.contact.contact_id, attempts, retry, now);
                self.log_and_count(started.elapsed(), &next);
                let suggests_instance_down = outcome.suggests_instance_down();
                let is_sent = next.outcome == AttemptOutcome::Sent;
                (if is_sent { SendEnd::Sent } else { SendEnd::OtherOutcome { suggests_instance_down } }, next)
            }
            Err(next) => (SendEnd::Stopped, next),
        };
        let receipt = self.finish(next).await;
        self.report(end, Some(next_send_at), Some(receipt))
    }

    /// The one request to the gateway; no transaction is open. The error is the next state of a contact whose message was
    /// not posted.
    async fn post_once(&self) -> Result<Outcome, NextState> {
        let Ok(number) = PhoneNumber::from_stored(&self.contact.phone) else { return Err(unreadable_number()) };
        if !self.lease.is_valid() {
            return Err(not_posted(self.context.clock.now()));
        }
        fail_point!("post::before");
        let outcome = self.context.gateway.send_text(&self.address, &number, &self.contact.text).await;
        fail_point!("post::after");
        Ok(outcome)
    }

    async fn finish(&self, next: NextState) -> OutcomeReceipt {
        self.context.attempt_writer.finish(self.mark.finish(next)).await
    }

    fn log_and_count(&self, duration: Duration, next: &NextState) {
        let Mark { attempt: NewAttempt { key, .. }, queue, instance, .. } = self.mark;
        let AttemptKey { tenant, contact, .. } = key;
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
