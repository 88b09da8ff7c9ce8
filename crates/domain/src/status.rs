//! The states of a queue and of a contact, and what moves each in and out. The tables hold the same names by check
//! constraints, and ARCHITECTURE.md draws them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The state of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueStatus {
    /// Waits for `scheduled_for`; in from intake, out to `Pending` by periodic.
    Scheduled,
    /// May be sent, and no lane has taken it up yet; in from intake, periodic or resume.
    Pending,
    /// A lane has claimed contacts of it; in when a lane first claims from it.
    Running,
    /// Stopped by an operator; out by resume or cancel.
    Paused,
    /// Outside business hours; out to `Running` at `resume_at`.
    PausedHours,
    /// The instance does not answer or is not connected; out when a check finds it open again.
    InstanceDown,
    /// Nothing is pending or being sent; out when an unconfirmed contact of it is sent once more.
    Completed,
    /// Stopped for good by an operator; its unsent contacts are `cancelled`.
    Cancelled,
    /// Every contact is final and not one could be sent.
    Failed,
}

impl QueueStatus {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Scheduled,
        Self::Pending,
        Self::Running,
        Self::Paused,
        Self::PausedHours,
        Self::InstanceDown,
        Self::Completed,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The name in the API and in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::PausedHours => "paused_hours",
            Self::InstanceDown => "instance_down",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Nobody's action moves a queue out of these (a resend of an unconfirmed contact reopens a completed or failed one).
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed)
    }

    /// A lane may claim contacts from a queue in these states only.
    pub const fn is_runnable(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// The state after an operator's action.
    ///
    /// An action that changes nothing (pausing what is paused) is allowed, so that a repeated call is harmless.
    ///
    /// # Errors
    /// [`StateConflict`] where the action makes no sense: anything but a repeated cancel on a final queue.
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

/// The state of a contact. `delivered` and `read` are marks on a sent contact, not states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactStatus {
    /// To be sent; in from intake and from an attempt that proved not to have left.
    Pending,
    /// An attempt is written down and may be on its way.
    Sending,
    /// The gateway answered that it left.
    Sent,
    /// Refused for good, or the last allowed attempt did not leave.
    Failed,
    /// Nobody can say whether the attempt left; out by a proof, a person, or the tenant's rule after the last look.
    Unconfirmed,
    /// A rule said that it must not be sent.
    Skipped,
    /// Its queue was cancelled before it was sent.
    Cancelled,
}

impl ContactStatus {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::Sending, Self::Sent, Self::Failed, Self::Unconfirmed, Self::Skipped, Self::Cancelled];

    /// The name in the API and in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unconfirmed => "unconfirmed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What an operator can ask of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlAction {
    /// No further send until resumed.
    Pause,
    /// Go on.
    Resume,
    /// Never send what has not been sent.
    Cancel,
}

impl ControlAction {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
        }
    }
}

/// The action does not fit the queue's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a queue that is {} cannot be asked to {}", status.as_str(), action.as_str())]
pub struct StateConflict {
    /// The state the queue is in.
    pub status: QueueStatus,
    /// What was asked.
    pub action: ControlAction,
}

/// The text names no state.
#[derive(Debug, thiserror::Error)]
#[error("unknown status {0:?}")]
pub struct UnknownStatus(String);

impl fmt::Display for QueueStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ContactStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for QueueStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

impl FromStr for ContactStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_queue_takes_no_action_but_a_repeated_cancel() {
        for status in QueueStatus::ALL.into_iter().filter(|status| status.is_final()) {
            assert!(status.after(ControlAction::Pause, false).is_err());
            assert!(status.after(ControlAction::Resume, false).is_err());
            assert_eq!(status.after(ControlAction::Cancel, false).is_ok(), status == QueueStatus::Cancelled);
        }
    }

    #[test]
    fn a_paused_queue_resumes_to_where_it_would_be_without_the_pause() {
        assert_eq!(QueueStatus::Paused.after(ControlAction::Resume, false), Ok(QueueStatus::Pending));
        assert_eq!(QueueStatus::Paused.after(ControlAction::Resume, true), Ok(QueueStatus::Scheduled));
        assert_eq!(QueueStatus::InstanceDown.after(ControlAction::Resume, false), Ok(QueueStatus::InstanceDown));
    }

    #[test]
    fn every_name_parses_back() {
        for status in QueueStatus::ALL {
            assert_eq!(status.as_str().parse::<QueueStatus>().ok(), Some(status));
        }
        for status in ContactStatus::ALL {
            assert_eq!(status.as_str().parse::<ContactStatus>().ok(), Some(status));
        }
    }
}
