//! Starts the send tasks of a lane's claimed contacts, at most `concurrency` at a time, and applies their reports.

use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use chrono::TimeDelta;
use regua_domain::{AttemptId, ContactStatus};
use regua_store::attempts::AttemptKey;
use regua_store::contacts::{ClaimedContact, MarkFacts, NewAttempt};

use super::send_task::{SendEnd, SendReport, SendTask};
use super::{Lane, StopReason};
use crate::attempt::{Mark, NotMarked};
use crate::lane_configs::LaneConfig;

/// Pause of a lane after a send for which this machine had no socket.
const SOCKET_PAUSE: TimeDelta = TimeDelta::seconds(1);

impl Lane {
    /// Waits until fewer than `concurrency` sends are under way and the slot has come, and starts the next send;
    /// returns a reason when the lane must stop.
    pub(super) async fn start_send(&mut self) -> anyhow::Result<Option<StopReason>> {
        let config = self.config().await?;
        while self.receipts.len() >= 2 * config.concurrency {
            self.await_receipt().await;
        }
        while self.sends.len() >= config.concurrency {
            if let Some(reason) = self.await_send().await? {
                return Ok(Some(reason));
            }
        }
        self.wait_for_slot(config.lead_time()).await;
        let permit = match self.acquire_permit().await {
            Ok(permit) => permit,
            Err(reason) => return Ok(Some(reason)),
        };
        // The wait may have been long, so configuration and connection are read again.
        let config = self.config().await?;
        if let Some(reason) = self.check_health(&config, Some(&permit)).await? {
            return Ok(Some(reason));
        }
        let Ok(address) = config.address.clone() else { bail!("the instance's address or token cannot be used") };
        // A report with a hold may have removed all claimed contacts.
        let Some(contact) = self.claimed.pop_front() else { return Ok(None) };
        let Some(queue) = self.queues.get(&contact.queue_id).copied() else { return Ok(None) };
        self.sending.insert(contact.contact_id);
        let mark = self.mark_of(&contact, &config);
        // An estimate for the next wait. The mark computes the slot from the lane's row.
        let (instance, now) = (self.key.instance, self.context.clock.now());
        self.next_send_at = Some(config.pacing.next_send_at(instance, self.next_send_at, now, mark.jitter_random()));
        let task = SendTask {
            context: Arc::clone(&self.context),
            lease: Arc::clone(&self.lease),
            address,
            queue,
            contact,
            mark,
        };
        self.sends.spawn(async move {
            let report = task.run().await;
            // Held from before the mark, so that a marked contact is posted at its slot.
            drop(permit);
            report
        });
        if config.concurrency == 1 {
            return self.await_send().await;
        }
        Ok(None)
    }

    async fn wait_for_slot(&self, lead_time: TimeDelta) {
        if let Some(at) = self.next_send_at {
            tokio::select! {
                () = self.context.clock.sleep_until(at - lead_time) => {}
                () = self.lease.release_requested.cancelled() => {}
                () = self.context.shutdown.cancelled() => {}
            }
        }
    }

    pub(crate) fn mark_of(&self, contact: &ClaimedContact, config: &Arc<LaneConfig>) -> Mark {
        let attempt = AttemptId::new(self.context.clock.now());
        Mark {
            attempt: NewAttempt {
                key: AttemptKey { tenant: self.key.tenant, contact: contact.contact_id, attempt },
                number: contact.attempts.saturating_add(1),
                lease_epoch: self.lease.epoch,
            },
            instance: self.key.instance,
            queue: contact.queue_id,
            claimed: MarkFacts {
                tenant_id: self.key.tenant,
                contact_id: contact.contact_id,
                status: ContactStatus::Pending,
                attempts: contact.attempts,
                due_at: contact.due_at,
                resends: contact.resends,
                unposted: contact.unposted,
                open_attempt: None,
            },
            config: Arc::clone(config),
            is_repeated: false,
        }
    }

    /// Waits for one send task and applies its report; a reason when the lane must stop.
    async fn await_send(&mut self) -> anyhow::Result<Option<StopReason>> {
        let Some(report) = self.sends.join_next().await else { return Ok(None) };
        let Ok(SendReport { contact, queue, end, next_send_at, receipt }) = report else {
            // The task panicked, perhaps after its mark.
            self.may_have_open_attempts = true;
            return Ok(None);
        };
        self.sending.remove(&contact);
        self.receipts.extend(receipt);
        self.next_send_at = self.next_send_at.max(next_send_at);
        match end {
            SendEnd::Sent => self.last_seen_open = Some(Instant::now()),
            SendEnd::OtherOutcome { suggests_instance_down: true } => self.last_seen_open = None,
            SendEnd::OtherOutcome { .. } | SendEnd::NotMarked(NotMarked::Skip) => {}
            SendEnd::WithoutSocket => {
                self.next_send_at = self.next_send_at.max(Some(self.context.clock.now() + SOCKET_PAUSE));
            }
            SendEnd::NotMarked(NotMarked::Outdated { next_send_at }) => {
                self.outdated.insert(contact);
                // Replaces the estimate of `start_send`, because the slot is unused.
                self.next_send_at = next_send_at;
            }
            SendEnd::NotMarked(NotMarked::Hold { until, rule }) => {
                Box::pin(self.hold_claimed(queue, until, rule)).await?;
            }
            SendEnd::NotMarked(NotMarked::LeaseLost) => return Ok(Some(StopReason::LeaseLost)),
            SendEnd::Stopped => return Ok(self.stop_reason()),
        }
        Ok(None)
    }

    /// Waits until the oldest outcome is written or refused.
    async fn await_receipt(&mut self) {
        if let Some(receipt) = self.receipts.pop_front() {
            self.may_have_open_attempts |= !receipt.written().await;
        }
    }

    pub(super) async fn await_receipts(&mut self) {
        while !self.receipts.is_empty() {
            self.await_receipt().await;
        }
    }

    /// Waits for all send tasks, and until their outcomes are written or refused.
    pub(super) async fn await_sends(&mut self) {
        while !self.sends.is_empty() {
            if let Err(error) = self.await_send().await {
                self.may_have_open_attempts = true;
                tracing::warn!(error = format!("{error:#}"), "the queue of a contact could not be held");
            }
        }
        self.await_receipts().await;
    }
}
