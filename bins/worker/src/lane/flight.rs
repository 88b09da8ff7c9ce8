//! One contact on its way: its mark is asked for until it is answered, then it is sent once, and the ledger is told what it
//! came to. The next one need not wait until that is written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use fail::fail_point;
use regua_domain::{ContactId, MessageType, PhoneNumber, QueueId, Rule};
use regua_evolution::InstanceAddress;
use regua_store::contacts::Claimed;

use super::Context;
use crate::lanes::Hold;
use crate::ledger::{Finish, Mark, MarkFailed, Marked, Told};
use crate::rules::LaneRules;
use crate::verdict::{Verdict, not_made, unreadable_number, verdict};

/// How long after a mark failed it is asked for again.
const PAUSE: Duration = Duration::from_millis(200);

/// A contact of the hand that is about to be marked and sent.
pub(super) struct Flight {
    pub(super) context: Arc<Context>,
    pub(super) hold: Arc<Hold>,
    pub(super) rules: Arc<LaneRules>,
    pub(super) address: Arc<InstanceAddress>,
    pub(super) message_type: MessageType,
    pub(super) contact: Claimed,
    pub(super) mark: Mark,
}

/// How a flight ended.
pub(super) struct Landed {
    /// The contact.
    pub(super) contact: ContactId,
    /// What became of the contact.
    pub(super) ended: Ended,
    /// When the number may send next, where a mark told.
    pub(super) next_send_at: Option<DateTime<Utc>>,
    /// Its outcome, which may not be written yet.
    pub(super) outcome: Option<Told>,
}

/// What became of a contact.
pub(super) enum Ended {
    /// It left: the number is connected.
    Sent,
    /// It came to something else, after which the number may be worth a look.
    Tried { looks_down: bool },
    /// A rule forbids it for good, or somebody has dealt with it.
    Dropped,
    /// It, and its queue, must wait.
    Held { queue: QueueId, at: Option<DateTime<Utc>>, rule: Rule },
    /// The lane is not ours any more.
    LaneLost,
    /// The process is ending, or the lease is no longer certain.
    Stopped,
}

impl Flight {
    /// Marks, sends once, and tells what it came to.
    pub(super) async fn run(self) -> Landed {
        let mut may_stand = false;
        let ended = match self.marked(&mut may_stand).await {
            Ok((send_at, next_send_at, tries)) => return self.send(send_at, next_send_at, tries).await,
            Err(ended) => ended,
        };
        // The mark may stand although its answer was lost. Nothing was sent, and only we know it.
        let outcome = if may_stand { Some(self.finish(not_made(self.context.clock.now())).await) } else { None };
        Landed { contact: self.contact.contact_id, ended, next_send_at: None, outcome }
    }

    /// Asks for the mark until it is answered: when to send, when the number may send next, and which try it is.
    async fn marked(&self, may_stand: &mut bool) -> Result<(DateTime<Utc>, DateTime<Utc>, u16), Ended> {
        loop {
            if self.context.shutdown.is_cancelled() || !self.hold.is_valid() {
                return Err(Ended::Stopped);
            }
            let mark = Mark { is_repeated: *may_stand, ..self.mark.clone() };
            match self.context.ledger.mark(mark).await {
                Ok(Marked::Send { send_at, next_send_at, tries }) => return Ok((send_at, next_send_at, tries)),
                Ok(Marked::Hold { at: Some(at), rule: Rule::Pacing }) => self.sleep_until(at).await,
                Ok(Marked::Hold { at, rule }) => return Err(Ended::Held { queue: self.mark.queue, at, rule }),
                Ok(Marked::Skip { .. } | Marked::Outdated) => return Err(Ended::Dropped),
                Ok(Marked::LaneLost) => return Err(Ended::LaneLost),
                Err(MarkFailed) => {
                    *may_stand = true;
                    tokio::time::sleep(PAUSE).await;
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

    async fn send(self, send_at: DateTime<Utc>, next_send_at: DateTime<Utc>, tries: u16) -> Landed {
        if send_at > self.context.clock.now() {
            self.sleep_until(send_at).await;
        }
        let (ended, verdict) = match PhoneNumber::from_stored(&self.contact.phone) {
            Err(_) => (Ended::Dropped, unreadable_number()),
            Ok(_) if !self.hold.is_valid() => (Ended::Stopped, not_made(self.context.clock.now())),
            Ok(number) => {
                let started = Instant::now();
                fail_point!("post::before");
                let outcome = self.context.gateway.send_text(&self.address, &number, &self.contact.text).await;
                fail_point!("post::after");
                let now = self.context.clock.now();
                let verdict = verdict(&outcome, self.contact.contact_id, tries, &self.rules.retry, now);
                self.observe(started.elapsed(), &verdict);
                let looks_down = outcome.instance_looks_down();
                (if verdict.outcome == "sent" { Ended::Sent } else { Ended::Tried { looks_down } }, verdict)
            }
        };
        let outcome = Some(self.finish(verdict).await);
        Landed { contact: self.contact.contact_id, ended, next_send_at: Some(next_send_at), outcome }
    }

    async fn finish(&self, verdict: Verdict) -> Told {
        let Mark { tenant, instance, queue, contact, attempt, .. } = self.mark;
        self.context.ledger.finish(Finish { tenant, instance, queue, contact, attempt, verdict }).await
    }

    fn observe(&self, took: Duration, verdict: &Verdict) {
        let Mark { tenant, queue, .. } = self.mark;
        tracing::debug!(tenant_id = %tenant, queue_id = %queue, billing_contact_id = %self.contact.contact_id,
            instance_id = %self.rules.instance.instance_id, template_type = %self.message_type,
            outcome = verdict.outcome, reason = verdict.reason, "an attempt was made");
        let tenant = tenant.to_string();
        let metrics = &self.context.metrics;
        let message_type = self.message_type.as_str();
        metrics.messages_sent.with_label_values(&[tenant.as_str(), message_type, verdict.outcome]).inc();
        metrics.send_duration.with_label_values(&[tenant.as_str(), message_type]).observe(took.as_secs_f64());
    }
}
