//! An attempt under way: after its mark the worker checks its lease, posts, and finishes the attempt.

use regua_evolution::Outcome;
use regua_store::contacts::{ClaimedContact, Finish};
use regua_worker::harness::{MarkRequest, MarkResult, StopReason};

use super::{HeldLane, LoopState, WorkerStep};
use crate::model::plan::Fault;

/// One marked attempt.
pub(super) struct SendTask {
    pub(super) contact: ClaimedContact,
    pub(super) mark_request: MarkRequest,
    pub(super) state: SendState,
}

pub(super) enum SendState {
    Marked,
    /// The lease was checked. The post is next, however long the worker pauses before it.
    Checked,
    Answered(Finish),
}

impl WorkerStep<'_, '_> {
    /// The next step of an attempt under way.
    pub(super) async fn step_send(&mut self, held: &mut HeldLane) -> anyhow::Result<()> {
        let place = usize::from(self.choice / 2) % held.sends.len();
        let SendTask { contact, mark_request, state } = held.sends.remove(place);
        let name = self.name(&contact);
        let state = match state {
            SendState::Marked if held.manual.is_lease_valid() => Some(SendState::Checked),
            SendState::Marked => {
                self.record(&format!("finds its lease invalid and does not send {name}"));
                Some(SendState::Answered(held.manual.not_posted(&mark_request)))
            }
            SendState::Checked => {
                let outcome = self.post(&contact, &mark_request)?;
                Some(SendState::Answered(held.manual.finish_request(&mark_request, &outcome).await?))
            }
            SendState::Answered(finish_request) => {
                self.record(&format!("finishes {name}"));
                if self.fault != Fault::Failed {
                    held.manual.finish(&finish_request).await?;
                }
                (self.fault != Fault::None).then_some(SendState::Answered(finish_request))
            }
        };
        if let Some(state) = state {
            held.sends.insert(place, SendTask { contact, mark_request, state });
        }
        Ok(())
    }

    pub(super) fn post(&mut self, contact: &ClaimedContact, mark_request: &MarkRequest) -> anyhow::Result<Outcome> {
        let (name, script) = (self.name(contact), self.script);
        self.case.record(format!("worker {} posts {name}: {script:?}", self.n));
        let now = self.case.now;
        let n = self.case.contact_index(contact.contact_id);
        self.case.gateway.post(mark_request.attempt(), &self.case.contacts[n].reference, script, now)
    }
}

impl HeldLane {
    /// Defect: commits the mark after its request was posted.
    pub(in super::super) async fn mark_after_post(
        &mut self,
        contact: ClaimedContact,
        mark_request: MarkRequest,
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
        match self.manual.mark(&mark_request, false).await? {
            MarkResult::Send => {
                let state = SendState::Answered(self.manual.finish_request(&mark_request, outcome).await?);
                self.sends.push(SendTask { contact, mark_request, state });
            }
            MarkResult::LeaseLost => self.state = LoopState::Releasing(StopReason::LEASE_LOST),
            MarkResult::NotYet | MarkResult::Hold(..) | MarkResult::Skip => {}
        }
        Ok(())
    }
}
