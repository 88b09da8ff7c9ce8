//! The states of queues and contacts, and what moves each in and out. The tables' check constraints have the same
//! names; ARCHITECTURE.md draws the transitions.

text_enum! {
    /// The state of a queue.
    pub enum QueueStatus ("status") {
        /// Waits for `scheduled_for`. In: intake, resume. Out: to `Pending` by periodic.
        Scheduled = "scheduled",
        /// May be sent, and no lane has claimed from it. In: intake, periodic, resume, a check that finds the instance
        /// connected, a resend in a completed queue. Out: to `Running` by a claim.
        Pending = "pending",
        /// A lane has claimed from it. In: the first claim. Out: to `Completed` or `Failed` by the last outcome.
        Running = "running",
        /// Stopped by an operator. Out: resume, cancel.
        Paused = "paused",
        /// Waits for business hours or a new day of the daily cap. Out: to `Pending` at `resume_at`, by periodic.
        PausedHours = "paused_hours",
        /// The gateway does not answer or the instance is not connected. Out: to `Pending` when a check finds it
        /// connected.
        InstanceDown = "instance_down",
        /// No contact is pending or sending. Out: to `Pending` when an unconfirmed contact is resent.
        Completed = "completed",
        /// Stopped for good by an operator; its pending contacts are `cancelled`.
        Cancelled = "cancelled",
        /// Every contact is `failed`. Out: as `Completed`.
        Failed = "failed",
    }
}

impl QueueStatus {
    /// Whether no control moves a queue out of this state.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed)
    }

    /// Whether lanes may claim from a queue in this state.
    pub const fn is_runnable(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// The state after a control. A repeated control changes nothing. A final queue refuses every control, except a
    /// repeated cancel.
    pub const fn after(self, action: ControlAction, is_scheduled_later: bool) -> Result<Self, StateConflict> {
        match (action, self) {
            (ControlAction::Cancel, Self::Cancelled) => Ok(Self::Cancelled),
            (_, Self::Completed | Self::Cancelled | Self::Failed) => Err(StateConflict { status: self, action }),
            (ControlAction::Cancel, _) => Ok(Self::Cancelled),
            (ControlAction::Pause, _) => Ok(Self::Paused),
            (ControlAction::Resume, Self::Paused) if is_scheduled_later => Ok(Self::Scheduled),
            (ControlAction::Resume, Self::Paused) => Ok(Self::Pending),
            (ControlAction::Resume, other) => Ok(other),
        }
    }
}

text_enum! {
    /// The state of a contact. `delivered` and `read` are marks on a sent contact, not states.
    pub enum ContactStatus ("status") {
        /// To be sent. In: intake, an attempt whose message did not leave, a resend.
        Pending = "pending",
        /// An attempt is marked and may be under way.
        Sending = "sending",
        /// The message left.
        Sent = "sent",
        /// Refused, given up, or the last allowed attempt did not leave.
        Failed = "failed",
        /// The last attempt is unknown. Out: evidence, an operator decision, a resend after the last look.
        Unconfirmed = "unconfirmed",
        /// A rule forbids the send.
        Skipped = "skipped",
        /// Its queue was cancelled, or its erasure requested, before it was sent.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// A control of a queue by an operator.
    pub enum ControlAction ("action") {
        /// Stop sending until resumed.
        Pause = "pause",
        /// Send again.
        Resume = "resume",
        /// Never send the unsent contacts.
        Cancel = "cancel",
    }
}

text_enum! {
    /// A decision about an unconfirmed contact by an operator.
    pub enum OperatorDecision ("verdict") {
        /// The message left.
        Confirm = "confirm",
        /// Send once more.
        Resend = "resend",
        /// The contact counts as failed.
        GiveUp = "give_up",
    }
}

/// The queue's state does not allow the control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a queue that is {} cannot be asked to {}", status.as_str(), action.as_str())]
pub struct StateConflict {
    /// The queue's state.
    pub status: QueueStatus,
    /// The control.
    pub action: ControlAction,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_queue_refuses_every_control_but_a_repeated_cancel() {
        for status in QueueStatus::ALL.into_iter().filter(|status| status.is_final()) {
            assert!(status.after(ControlAction::Pause, false).is_err());
            assert!(status.after(ControlAction::Resume, false).is_err());
            assert_eq!(status.after(ControlAction::Cancel, false).is_ok(), status == QueueStatus::Cancelled);
        }
    }

    #[test]
    fn paused_queue_resumes_to_its_state_without_the_pause() {
        assert_eq!(QueueStatus::Paused.after(ControlAction::Resume, false), Ok(QueueStatus::Pending));
        assert_eq!(QueueStatus::Paused.after(ControlAction::Resume, true), Ok(QueueStatus::Scheduled));
        assert_eq!(QueueStatus::InstanceDown.after(ControlAction::Resume, false), Ok(QueueStatus::InstanceDown));
    }

    #[test]
    fn every_status_name_parses_back() {
        for status in QueueStatus::ALL {
            assert_eq!(status.as_str().parse::<QueueStatus>().ok(), Some(status));
        }
        for status in ContactStatus::ALL {
            assert_eq!(status.as_str().parse::<ContactStatus>().ok(), Some(status));
        }
    }
}
