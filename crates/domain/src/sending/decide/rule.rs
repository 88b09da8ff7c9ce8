//! The rules that hold or skip a contact. Their texts are stored as reasons.

use crate::Text;

text_enum! {
    /// The reason why a contact is not sent now.
    pub enum Rule ("rule") {
        /// The contact or its queue is final.
        AlreadyFinal = "already_final",
        /// An attempt is under way.
        AlreadySending = "already_sending",
        /// The queue is cancelled.
        QueueCancelled = "queue_cancelled",
        /// The contact has used all its attempts.
        AttemptsUsedUp = "attempts_used_up",
        /// The tenant is suspended.
        TenantSuspended = "tenant_suspended",
        /// The queue is paused.
        QueuePaused = "queue_paused",
        /// The queue's `scheduled_for` has not passed.
        QueueScheduled = "queue_scheduled",
        /// Closed hours or a holiday.
        BusinessHours = "business_hours",
        /// The instance is not connected.
        InstanceDown = "instance_down",
        /// The contact is not due.
        NotDue = "not_due",
        /// The instance has reached its daily cap.
        DailyCap = "daily_cap",
        /// The instance's next slot has not come.
        Pacing = "pacing",
    }
}

impl Rule {
    /// The explanation for people.
    pub fn text(self) -> Text {
        Text::of_code(&format!("rule_{self}"))
    }
}
