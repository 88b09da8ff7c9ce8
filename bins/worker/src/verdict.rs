//! What the outcome of one try means for its contact. Pure.

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, ContactStatus, RetrySchedule};
use regua_evolution::Outcome;

/// The outcome as it is written down, and the contact's next state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) outcome: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) message_id: Option<String>,
    pub(crate) status: ContactStatus,
    pub(crate) due_at: Option<DateTime<Utc>>,
}

/// Only what certainly did not leave may be tried again, and only as often as the schedule allows; what may have left is
/// unconfirmed.
pub(crate) fn verdict(
    outcome: &Outcome,
    contact: ContactId,
    attempt: u16,
    schedule: &RetrySchedule,
    now: DateTime<Utc>,
) -> Verdict {
    let reason = outcome.reason().map(|reason| reason.as_str().to_owned());
    let plain = |outcome, status| Verdict { outcome, reason: reason.clone(), message_id: None, status, due_at: None };
    match outcome {
        Outcome::Sent { message_id, .. } => {
            Verdict { message_id: Some(message_id.clone()), ..plain("sent", ContactStatus::Sent) }
        }
        Outcome::Refused { .. } => plain("refused", ContactStatus::Failed),
        Outcome::Unknown { .. } => plain("unknown", ContactStatus::Unconfirmed),
        Outcome::NotSent { retry: false, .. } => plain("not_sent", ContactStatus::Failed),
        Outcome::NotSent { retry: true, .. } => match schedule.after(attempt, contact) {
            Some(delay) => Verdict { due_at: Some(now + delay), ..plain("not_sent", ContactStatus::Pending) },
            None => plain("not_sent", ContactStatus::Failed),
        },
    }
}

/// The try was written down and then not made, because the lane was no longer certainly ours.
pub(crate) fn not_made(now: DateTime<Utc>) -> Verdict {
    Verdict {
        outcome: "not_sent",
        reason: Some("lease_lost".to_owned()),
        message_id: None,
        status: ContactStatus::Pending,
        due_at: Some(now),
    }
}

/// The stored number is none: nothing can be sent to it.
pub(crate) fn unreadable_number() -> Verdict {
    Verdict {
        outcome: "refused",
        reason: Some("unreadable_number".to_owned()),
        message_id: None,
        status: ContactStatus::Failed,
        due_at: None,
    }
}

#[cfg(test)]
mod tests {
    use regua_evolution::Reason;
    use uuid::Uuid;

    use super::*;

    fn of(outcome: &Outcome, attempt: u16) -> Verdict {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        verdict(outcome, ContactId(Uuid::from_u128(7)), attempt, &RetrySchedule::new(3), now)
    }

    #[test]
    fn only_what_certainly_did_not_leave_is_tried_again() {
        let reason = Reason::GatewayError;
        let not_sent = Outcome::NotSent { reason, retry: true };
        assert_eq!(of(&not_sent, 1).status, ContactStatus::Pending);
        assert!(of(&not_sent, 1).due_at.is_some());
        assert_eq!(of(&not_sent, 3).status, ContactStatus::Failed);
        assert_eq!(of(&Outcome::NotSent { reason, retry: false }, 1).status, ContactStatus::Failed);
        assert_eq!(of(&Outcome::Refused { reason }, 1).status, ContactStatus::Failed);
        assert_eq!(of(&Outcome::Unknown { reason }, 1).status, ContactStatus::Unconfirmed);
        for outcome in [Outcome::Refused { reason }, Outcome::Unknown { reason }] {
            assert_eq!(of(&outcome, 1).due_at, None);
        }
    }
}
