//! One attempt that is written down and on its way: sent once, and its outcome written down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fail::fail_point;
use regua_domain::{AttemptId, MessageType, PhoneNumber, QueueId, TenantId};
use regua_evolution::InstanceAddress;
use regua_store::contacts::Claimed;

use super::Context;
use crate::lanes::Hold;
use crate::ledger::Finish;
use crate::rules::LaneRules;
use crate::verdict::{Verdict, not_made, unreadable_number, verdict};

/// One attempt that is written down and on its way.
pub(super) struct Sending {
    pub(super) context: Arc<Context>,
    pub(super) hold: Arc<Hold>,
    pub(super) address: InstanceAddress,
    pub(super) message_type: MessageType,
    pub(super) finish: (TenantId, QueueId, AttemptId),
    pub(super) attempt: u16,
    pub(super) rules: Arc<LaneRules>,
    pub(super) contact: Claimed,
}

/// How a send ended.
pub(super) struct Landed {
    /// The number is worth a look before the next send.
    pub(super) looks_down: bool,
    /// Its outcome stands.
    pub(super) is_written: bool,
}

impl Sending {
    /// Sends once and has the outcome written down.
    pub(super) async fn run(self) -> Landed {
        let (tenant, queue, attempt) = self.finish;
        let mut looks_down = false;
        let verdict = match PhoneNumber::from_stored(&self.contact.phone) {
            Err(_) => unreadable_number(),
            Ok(_) if !self.hold.is_valid() => not_made(self.context.clock.now()),
            Ok(number) => {
                let started = Instant::now();
                fail_point!("post::before");
                let outcome = self.context.gateway.send_text(&self.address, &number, &self.contact.text).await;
                fail_point!("post::after");
                looks_down = outcome.instance_looks_down();
                let now = self.context.clock.now();
                let verdict = verdict(&outcome, self.contact.contact_id, self.attempt, &self.rules.retry, now);
                self.observe(started.elapsed(), &verdict);
                verdict
            }
        };
        let finished = self.context.ledger.finish(Finish { tenant, queue, attempt, verdict }).await;
        Landed { looks_down, is_written: finished.is_ok() }
    }

    fn observe(&self, took: Duration, verdict: &Verdict) {
        let (tenant, queue, _) = self.finish;
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
