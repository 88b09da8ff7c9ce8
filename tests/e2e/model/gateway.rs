//! A gateway in memory: messages that left, messages that are held up, and the view of its history.

use anyhow::ensure;
use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::AttemptId;
use regua_evolution::{LookResult, Outcome, Reason};
use regua_store::attempts::UnknownAttempt;

use super::plan::{HistoryView, Script};

/// A look's window begins this long before the attempt.
const SKEW: TimeDelta = TimeDelta::minutes(2);

/// A message that left.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) attempt: AttemptId,
    pub(super) reference: String,
    pub(super) left_at: DateTime<Utc>,
}

pub(super) struct Gateway {
    pub(super) ledger: Vec<Message>,
    held_up: Vec<(AttemptId, String)>,
    pub(super) history_view: HistoryView,
}

impl Gateway {
    pub(super) const fn new() -> Self {
        Self { ledger: Vec::new(), held_up: Vec::new(), history_view: HistoryView::All }
    }

    /// Handles one request; a second one of the same attempt is an error.
    pub(super) fn post(
        &mut self,
        attempt: AttemptId,
        reference: &str,
        script: Script,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Outcome> {
        let is_known = self.ledger.iter().map(|message| message.attempt).any(|known| known == attempt)
            || self.held_up.iter().any(|(known, _)| *known == attempt);
        ensure!(!is_known, "one attempt was posted twice");
        let reason = Reason::NoAnswer;
        Ok(match script {
            Script::Sent => {
                let message_id = self.leave(attempt, reference, now);
                Outcome::Sent { message_id, remote_jid: String::new() }
            }
            Script::SentAnswerLost => {
                self.leave(attempt, reference, now);
                Outcome::Unknown { reason }
            }
            Script::SentNotStored => {
                self.leave(attempt, reference, now);
                Outcome::Unknown { reason: Reason::GatewayDatabase }
            }
            Script::HeldUp => {
                self.held_up.push((attempt, reference.to_owned()));
                Outcome::Unknown { reason }
            }
            Script::Lost => Outcome::Unknown { reason },
            Script::NotSent => Outcome::NotSent { reason: Reason::ConnectionClosed, retry: true },
            Script::Refused => Outcome::Refused { reason: Reason::NumberNotOnWhatsapp },
        })
    }

    /// Lets all held-up messages leave.
    pub(super) fn leave_all(&mut self, now: DateTime<Utc>) {
        for (attempt, reference) in std::mem::take(&mut self.held_up) {
            self.leave(attempt, &reference, now);
        }
    }

    fn leave(&mut self, attempt: AttemptId, reference: &str, now: DateTime<Utc>) -> String {
        let id = format!("3EB0{:04}", self.ledger.len());
        self.ledger.push(Message { id: id.clone(), attempt, reference: reference.to_owned(), left_at: now });
        id
    }

    /// The result of a look now.
    pub(super) fn find(&self, attempt: &UnknownAttempt) -> LookResult {
        let is_its_message =
            |message: &&Message| message.reference == attempt.reference && message.left_at >= attempt.started_at - SKEW;
        match (self.history_view, self.ledger.iter().find(is_its_message)) {
            (HistoryView::NoAnswer, _) => LookResult::Failed { reason: Reason::NoAnswer },
            (HistoryView::All, Some(message)) => {
                LookResult::Found { message_id: message.id.clone(), left_at: message.left_at }
            }
            _ => LookResult::NotFound,
        }
    }

    /// The messages with this reference.
    pub(super) fn of<'a>(&'a self, reference: &'a str) -> impl Iterator<Item = &'a Message> {
        self.ledger.iter().filter(move |message| message.reference == reference)
    }
}
