//! A worker of the model: the loop of a lane in single steps, each of them the product's own, and its memory between
//! the steps. The plan decides how long it pauses between two steps.

mod send;

use anyhow::ensure;
use regua_domain::Rule;
use regua_evolution::Outcome;
use regua_store::contacts::{ClaimedContact, Finish};
use regua_worker::harness::{ManualLane, MarkRequest, MarkResult, StopReason};

use super::case::Case;
use super::defects::{self, Defect};
use super::plan::{Fault, Script};
use send::{SendState, SendTask};

/// A lane that the worker holds, and the state of its loop and sends.
pub(super) struct HeldLane {
    pub(super) manual: ManualLane,
    pub(super) lane: usize,
    concurrency: usize,
    state: LoopState,
    sends: Vec<SendTask>,
}

/// The state of the lane's loop.
enum LoopState {
    /// Marks the next claimed contact, or claims.
    Ready,
    /// A mark is to be committed, or repeated because its answer was lost.
    Marking {
        contact: ClaimedContact,
        mark_request: MarkRequest,
        is_repeated: bool,
    },
    /// Defect: the request was posted before the mark.
    Posted {
        contact: ClaimedContact,
        mark_request: MarkRequest,
        outcome: Outcome,
    },
    /// The claimed contacts must wait and are put back.
    Holding(Box<ClaimedContact>, Option<chrono::DateTime<chrono::Utc>>, Rule),
    /// The mark may be committed although its answer was lost. It is finished as not sent.
    WritingNotSent {
        contact: ClaimedContact,
        finish_request: Finish,
    },
    /// The database failed.
    Failed,
    Releasing(StopReason),
}

/// The worker's next step.
pub(super) async fn step(
    case: &mut Case<'_>,
    n: usize,
    choice: u8,
    fault: Fault,
    script: Script,
) -> anyhow::Result<()> {
    let Some(mut held) = case.workers[n].held.take() else { return acquire(case, n, choice, fault).await };
    let mut worker_step = WorkerStep { case, n, fault, script, choice };
    let keeps_lane = if held.must_step_send(choice) {
        worker_step.step_send(&mut held).await?;
        true
    } else {
        worker_step.step_loop(&mut held).await?
    };
    if keeps_lane {
        case.workers[n].held = Some(held);
    }
    Ok(())
}

async fn acquire(case: &mut Case<'_>, n: usize, choice: u8, fault: Fault) -> anyhow::Result<()> {
    let lane = usize::from(choice) % case.plan.lanes;
    let (tenant, instance) = (case.fixture.tenant.id, case.fixture.tenant.instances[lane]);
    if fault == Fault::Failed {
        return Ok(());
    }
    let acquired = case.workers[n].process.acquire(tenant, instance).await?;
    let Some(mut manual) = acquired else {
        case.record(format!("worker {n} rings for lane {lane}, which is held"));
        return Ok(());
    };
    let epoch = manual.epoch();
    let before = case.epochs.insert(instance, epoch);
    ensure!(before.is_none_or(|before| before < epoch), "an epoch did not grow: {before:?}, then {epoch}");
    case.record(format!("worker {n} takes lane {lane} with epoch {epoch} ({fault:?})"));
    if case.defect == Defect::RetriesLostAttempts {
        defects::retry_lost_attempts(case).await?;
    }
    if fault == Fault::None {
        let concurrency = manual.concurrency().await?;
        case.workers[n].held = Some(HeldLane { manual, lane, concurrency, state: LoopState::Ready, sends: Vec::new() });
    }
    Ok(())
}

impl HeldLane {
    /// Whether a send makes the next step, and not the loop.
    fn must_step_send(&self, choice: u8) -> bool {
        let is_waited_for = matches!(self.state, LoopState::Releasing(_) | LoopState::Failed);
        !self.sends.is_empty() && (is_waited_for || self.sends.len() >= self.concurrency || choice % 2 == 1)
    }
}

/// One step of one worker.
struct WorkerStep<'a, 'b> {
    case: &'a mut Case<'b>,
    n: usize,
    fault: Fault,
    script: Script,
    choice: u8,
}

impl WorkerStep<'_, '_> {
    fn record(&mut self, what: &str) {
        let (n, fault) = (self.n, self.fault);
        let fault = if fault == Fault::None { String::new() } else { format!(" ({fault:?})") };
        self.case.record(format!("worker {n} {what}{fault}"));
    }

    fn name(&self, contact: &ClaimedContact) -> String {
        format!("contact {}", self.case.contact_index(contact.contact_id))
    }

    /// Whether the worker checks its lease now and finds it invalid. With some choices the check is skipped, as if the
    /// lease expired between the product's check and the fenced step.
    fn sees_lost_lease(&self, held: &HeldLane) -> bool {
        !held.manual.is_lease_valid() && self.choice % 4 != 3 && self.case.defect != Defect::IgnoresFence
    }

    /// The loop's next step; false when the worker no longer holds the lane.
    async fn step_loop(&mut self, held: &mut HeldLane) -> anyhow::Result<bool> {
        match std::mem::replace(&mut held.state, LoopState::Ready) {
            LoopState::Ready if self.sees_lost_lease(held) => held.state = LoopState::Releasing(StopReason::LEASE_LOST),
            // With some choices the worker holds too many lanes and must release this one.
            LoopState::Ready if self.choice % 16 == 6 => {
                held.state = LoopState::Releasing(StopReason::RELEASE_REQUESTED);
            }
            LoopState::Ready => match held.manual.pop_claimed() {
                None => self.claim(held).await?,
                Some(contact) => {
                    let mark_request = held.manual.mark_request(&contact).await?;
                    self.mark(held, contact, mark_request, false).await?;
                }
            },
            LoopState::Marking { contact, mark_request, is_repeated } => {
                if is_repeated && self.sees_lost_lease(held) {
                    let finish_request = held.manual.not_posted(&mark_request);
                    held.state = LoopState::WritingNotSent { contact, finish_request };
                } else {
                    self.mark(held, contact, mark_request, is_repeated).await?;
                }
            }
            LoopState::Posted { contact, mark_request, outcome } => {
                defects::mark_after_post(self.case, held, contact, mark_request, outcome).await?;
            }
            LoopState::Holding(contact, at, rule) => {
                held.manual.hold_claimed(&contact, at, rule).await?;
                self.record("puts back the contacts that must wait");
                if self.fault != Fault::None {
                    self.fail_step(held);
                }
            }
            LoopState::WritingNotSent { contact, finish_request } => {
                self.finish_not_posted(held, contact, finish_request).await?;
            }
            LoopState::Failed => return Ok(held.manual.is_lease_valid()),
            LoopState::Releasing(reason) => return self.release(held, reason).await,
        }
        Ok(true)
    }

    fn fail_step(&self, held: &mut HeldLane) {
        held.manual.record_failed_step();
        held.state = LoopState::Failed;
    }

    async fn claim(&mut self, held: &mut HeldLane) -> anyhow::Result<()> {
        let reason = held.manual.claim().await?;
        self.record(&format!("claims {}", held.manual.claimed().count()));
        if self.fault != Fault::None {
            self.fail_step(held);
        } else if let Some(reason) = reason {
            held.state = LoopState::Releasing(reason);
        }
        Ok(())
    }

    async fn mark(
        &mut self,
        held: &mut HeldLane,
        contact: ClaimedContact,
        mark_request: MarkRequest,
        is_repeated: bool,
    ) -> anyhow::Result<()> {
        let (name, number) = (self.name(&contact), mark_request.number());
        if self.case.defect == Defect::PostsBeforeMark && !is_repeated {
            let outcome = self.post(&contact, &mark_request)?;
            held.state = LoopState::Posted { contact, mark_request, outcome };
            return Ok(());
        }
        let result =
            if self.fault == Fault::Failed { None } else { Some(held.manual.mark(&mark_request, is_repeated).await?) };
        let (Some(result), Fault::None) = (result, self.fault) else {
            self.record(&format!("marks attempt {number} of {name}"));
            held.state = LoopState::Marking { contact, mark_request, is_repeated: true };
            return Ok(());
        };
        self.handle_mark_result(held, contact, mark_request, is_repeated, result).await
    }

    async fn handle_mark_result(
        &mut self,
        held: &mut HeldLane,
        contact: ClaimedContact,
        mark_request: MarkRequest,
        is_repeated: bool,
        result: MarkResult,
    ) -> anyhow::Result<()> {
        let name = self.name(&contact);
        match result {
            MarkResult::Send => {
                self.record(&format!("marks attempt {} of {name}", mark_request.number()));
                held.sends.push(SendTask { contact, mark_request, state: SendState::Marked });
            }
            MarkResult::Skip => self.record(&format!("may not send {name}")),
            MarkResult::LeaseLost if self.case.defect == Defect::IgnoresFence => {
                self.record(&format!("marks {name} although it lost the lane"));
                defects::mark_without_the_fence(self.case, &contact, &mark_request, held.manual.epoch()).await?;
                held.sends.push(SendTask { contact, mark_request, state: SendState::Checked });
            }
            MarkResult::LeaseLost if is_repeated => {
                // The mark may be committed, and only this worker knows that it did not post.
                let finish_request = held.manual.not_posted(&mark_request);
                held.state = LoopState::WritingNotSent { contact, finish_request };
            }
            MarkResult::LeaseLost => {
                self.record("finds its lane lost");
                held.manual.push_claimed(contact);
                held.state = LoopState::Releasing(StopReason::LEASE_LOST);
            }
            MarkResult::NotYet => held.manual.push_claimed(contact),
            MarkResult::Hold(at, rule) => {
                self.record(&format!("must wait with {name}: {rule:?}"));
                held.state = LoopState::Holding(Box::new(contact), at, rule);
            }
        }
        Ok(())
    }

    async fn finish_not_posted(
        &mut self,
        held: &mut HeldLane,
        contact: ClaimedContact,
        finish_request: Finish,
    ) -> anyhow::Result<()> {
        let name = self.name(&contact);
        self.record(&format!("finishes {name} as not sent"));
        if self.fault != Fault::Failed {
            held.manual.finish(&finish_request).await?;
        }
        if self.fault == Fault::None {
            held.manual.push_claimed(contact);
            held.state = LoopState::Releasing(StopReason::LEASE_LOST);
        } else {
            held.state = LoopState::WritingNotSent { contact, finish_request };
        }
        Ok(())
    }

    async fn release(&mut self, held: &mut HeldLane, reason: StopReason) -> anyhow::Result<bool> {
        self.record(&format!("releases lane {}", held.lane));
        if self.fault == Fault::Failed {
            return Ok(false);
        }
        let is_released = held.manual.release(reason).await?;
        Ok(!is_released && self.fault == Fault::None)
    }
}
