//! The next state of a contact after an outcome of its attempt. Pure.

use chrono::{DateTime, Utc};
use regua_domain::{AttemptOutcome, ContactId, ContactStatus, RetrySchedule};
use regua_evolution::{Outcome, Reason};
use regua_store::contacts::NextState;

/// A contact whose message certainly did not leave is retried as often as the schedule allows. A contact whose message
/// may have left becomes unconfirmed. `attempt` is the attempt's number, from 1.
pub(crate) fn next_state(
    outcome: &Outcome,
    contact: ContactId,
    attempt: u16,
    schedule: &RetrySchedule,
    now: DateTime<Utc>,
) -> NextState {
    let reason = outcome.reason().map(|reason| reason.as_str().to_owned());
    let plain = |outcome, status| NextState { outcome, reason: reason.clone(), message_id: None, status, due_at: None };
    match outcome {
        Outcome::Sent { message_id, .. } => {
            NextState { message_id: Some(message_id.clone()), ..plain(AttemptOutcome::Sent, ContactStatus::Sent) }
        }
        Outcome::Refused { .. } => plain(AttemptOutcome::Refused, ContactStatus::Failed),
        Outcome::Unknown { .. } => plain(AttemptOutcome::Unknown, ContactStatus::Unconfirmed),
        Outcome::NotSent { retry: false, .. } => plain(AttemptOutcome::NotSent, ContactStatus::Failed),
        Outcome::NotSent { retry: true, .. } => match schedule.after(attempt, contact) {
            Some(delay) => {
                NextState { due_at: Some(now + delay), ..plain(AttemptOutcome::NotSent, ContactStatus::Pending) }
            }
            None => plain(AttemptOutcome::NotSent, ContactStatus::Failed),
        },
    }
}

/// The next state after an attempt that was marked and not posted: the lease ended, the queue was held, or the process
/// shuts down.
pub(crate) fn not_posted(now: DateTime<Utc>) -> NextState {
    unposted("lease_lost", now)
}

/// The next state after an attempt for which this machine had no socket. The attempt does not count for the schedule.
pub(crate) fn without_socket(now: DateTime<Utc>) -> NextState {
    unposted(Reason::NoSocket.as_str(), now)
}

fn unposted(reason: &str, now: DateTime<Utc>) -> NextState {
    NextState {
        outcome: AttemptOutcome::NotSent,
        reason: Some(reason.to_owned()),
        message_id: None,
        status: ContactStatus::Pending,
        due_at: Some(now),
    }
}

/// The next state of a contact whose stored phone number is invalid.
pub(crate) fn unreadable_number() -> NextState {
    NextState {
        outcome: AttemptOutcome::Refused,
        reason: Some("unreadable_number".to_owned()),
        message_id: None,
        status: ContactStatus::Failed,
        due_at: None,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn of(outcome: &Outcome, attempt: u16) -> NextState {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        next_state(outcome, ContactId(Uuid::from_u128(7)), attempt, &RetrySchedule::new(3), now)
    }

    #[test]
    fn only_an_attempt_that_certainly_did_not_leave_is_retried() {
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
