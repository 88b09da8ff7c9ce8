//! Kinds of events: what happened to a contact, a queue or an instance.

use crate::campaigns::{ContactStatus, QueueStatus};
use crate::sending::InstanceState;

text_enum! {
    /// What happened. The first word is the object, the second its new state.
    pub enum EventKind ("event kind") {
        /// The contact is to be sent again: its attempt did not leave, or an unknown one is resent.
        ContactRequeued = "contact.requeued",
        /// The message left.
        ContactSent = "contact.sent",
        /// The message is on the recipient's phone.
        ContactDelivered = "contact.delivered",
        /// The recipient has seen the message.
        ContactRead = "contact.read",
        /// WhatsApp refused the message after it had left.
        ContactUndelivered = "contact.undelivered",
        /// The contact is refused, given up, or out of attempts.
        ContactFailed = "contact.failed",
        /// It is unknown whether the message left.
        ContactUnconfirmed = "contact.unconfirmed",
        /// A rule forbids the send.
        ContactSkipped = "contact.skipped",
        /// The contact's queue was cancelled, or its erasure requested, before it was sent.
        ContactCancelled = "contact.cancelled",
        /// The queue may be sent again: after a pause, its hours, its scheduled time or the return of its instance, or
        /// because a finished queue has a contact to resend.
        QueueResumed = "queue.resumed",
        /// An operator stopped the queue.
        QueuePaused = "queue.paused",
        /// The queue waits for business hours, or for a new day of the daily cap.
        QueuePausedHours = "queue.paused_hours",
        /// The queue waits for its instance.
        QueueInstanceDown = "queue.instance_down",
        /// No contact of the queue is pending or sending.
        QueueCompleted = "queue.completed",
        /// Every contact of the queue is failed.
        QueueFailed = "queue.failed",
        /// An operator cancelled the queue.
        QueueCancelled = "queue.cancelled",
        /// The state of the instance is unknown.
        InstanceUnknown = "instance.unknown",
        /// The instance can send.
        InstanceOpen = "instance.open",
        /// The instance connects to WhatsApp.
        InstanceConnecting = "instance.connecting",
        /// The instance is not connected to WhatsApp.
        InstanceClose = "instance.close",
        /// The instance's gateway does not answer.
        InstanceUnreachable = "instance.unreachable",
    }
}

impl EventKind {
    /// The event of a contact that moved to this state; none for a mark, which its outcome follows.
    pub const fn of_contact(status: ContactStatus) -> Option<Self> {
        match status {
            ContactStatus::Sending => None,
            ContactStatus::Pending => Some(Self::ContactRequeued),
            ContactStatus::Sent => Some(Self::ContactSent),
            ContactStatus::Failed => Some(Self::ContactFailed),
            ContactStatus::Unconfirmed => Some(Self::ContactUnconfirmed),
            ContactStatus::Skipped => Some(Self::ContactSkipped),
            ContactStatus::Cancelled => Some(Self::ContactCancelled),
        }
    }

    /// The event of a queue that moved to this state.
    pub const fn of_queue(status: QueueStatus) -> Self {
        match status {
            QueueStatus::Scheduled | QueueStatus::Pending | QueueStatus::Running => Self::QueueResumed,
            QueueStatus::Paused => Self::QueuePaused,
            QueueStatus::PausedHours => Self::QueuePausedHours,
            QueueStatus::InstanceDown => Self::QueueInstanceDown,
            QueueStatus::Completed => Self::QueueCompleted,
            QueueStatus::Cancelled => Self::QueueCancelled,
            QueueStatus::Failed => Self::QueueFailed,
        }
    }

    /// The event of an instance that moved to this state.
    pub const fn of_instance(state: InstanceState) -> Self {
        match state {
            InstanceState::Unknown => Self::InstanceUnknown,
            InstanceState::Open => Self::InstanceOpen,
            InstanceState::Connecting => Self::InstanceConnecting,
            InstanceState::Close => Self::InstanceClose,
            InstanceState::Unreachable => Self::InstanceUnreachable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_is_named_after_the_object_and_its_new_state() {
        for status in ContactStatus::ALL {
            let Some(kind) = EventKind::of_contact(status) else { continue };
            let state = if status == ContactStatus::Pending { "requeued" } else { status.as_str() };
            assert_eq!(kind.as_str(), format!("contact.{state}"));
        }
        for status in QueueStatus::ALL {
            let is_sent_again = matches!(status, QueueStatus::Scheduled | QueueStatus::Pending | QueueStatus::Running);
            let state = if is_sent_again { "resumed" } else { status.as_str() };
            assert_eq!(EventKind::of_queue(status).as_str(), format!("queue.{state}"));
        }
        for state in InstanceState::ALL {
            assert_eq!(EventKind::of_instance(state).as_str(), format!("instance.{state}"));
        }
    }
}
