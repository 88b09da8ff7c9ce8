//! How a contact of the hand is sent: its mark is asked for until it is answered, and then it goes out.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, MessageType, Rule};
use regua_evolution::InstanceAddress;
use regua_store::contacts::Claimed;
use regua_store::{PATIENCE, within};

use super::sending::Sending;
use super::{Lane, Stop};
use crate::ledger::{Finish, Mark, MarkFailed, Marked};
use crate::rules::LaneRules;
use crate::verdict::not_made;

/// What became of a contact of the hand.
enum Sent {
    /// It is on its way, or has a final state.
    Done,
    /// It, and its queue, must wait.
    Held { at: Option<DateTime<Utc>>, rule: Rule },
    /// The lane must end first.
    Stopped(Stop),
}

impl Lane {
    /// Sends one contact of the hand, or finds that it must not be sent; a stop when the lane must end.
    pub(super) async fn send(&mut self, contact: Claimed) -> anyhow::Result<Option<Stop>> {
        let mut asked = None;
        let ended = self.send_or_stop(&contact, &mut asked).await;
        if let Some(mark) = asked {
            // The mark may stand although its answer was lost. Nothing was sent, and only we know it.
            let verdict = not_made(self.context.clock.now());
            let Mark { tenant, queue, attempt, .. } = mark;
            let finished = self.context.ledger.finish(Finish { tenant, queue, attempt, verdict }).await;
            self.stumbled |= finished.is_err();
        }
        match ended {
            Ok(Sent::Done) => Ok(None),
            Ok(Sent::Held { at, rule }) => {
                self.hand.push_front(contact);
                within(PATIENCE, self.hold_hand(at, rule)).await?;
                Ok(None)
            }
            Ok(Sent::Stopped(stop)) => {
                self.hand.push_front(contact);
                Ok(Some(stop))
            }
            Err(error) => {
                self.hand.push_front(contact);
                Err(error)
            }
        }
    }

    /// Asks for the mark until it is answered. `asked` holds a mark of which nobody knows whether it was committed.
    async fn send_or_stop(&mut self, contact: &Claimed, asked: &mut Option<Mark>) -> anyhow::Result<Sent> {
        loop {
            self.wait_for_slot().await;
            let (rules, address) = match self.ready().await? {
                Ok(ready) => ready,
                Err(stop) => return Ok(Sent::Stopped(stop)),
            };
            let repeated = asked.take();
            let mut mark = repeated.clone().unwrap_or_else(|| self.mark_of(contact, &rules));
            mark.rules = Arc::new(rules.tenant.clone());
            let marked = self.context.ledger.mark(mark.clone()).await;
            if !matches!(marked, Ok(Marked::Send { .. })) {
                // The first one may stand, and nothing is sent for it now.
                *asked = repeated;
            }
            match marked {
                Ok(Marked::Send { next_send_at, tries }) => {
                    self.next_send_at = Some(next_send_at);
                    self.dispatch(contact, &mark, tries, rules, address).await;
                    return Ok(Sent::Done);
                }
                Ok(Marked::Hold { at, rule: Rule::Pacing }) => self.next_send_at = at,
                Ok(Marked::Hold { at, rule }) => return Ok(Sent::Held { at, rule }),
                Ok(Marked::Skip { .. }) => return Ok(Sent::Done),
                Ok(Marked::LaneLost) => return Ok(Sent::Stopped(Stop::Lost)),
                Err(MarkFailed) => {
                    *asked = Some(mark);
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    pub(super) fn mark_of(&self, contact: &Claimed, rules: &LaneRules) -> Mark {
        Mark {
            tenant: self.key.tenant,
            instance: self.key.instance,
            epoch: self.hold.epoch,
            queue: contact.queue_id,
            contact: contact.contact_id,
            attempt: AttemptId::new(self.context.clock.now()),
            number: contact.attempts.saturating_add(1),
            reference: contact.reference.clone(),
            rules: Arc::new(rules.tenant.clone()),
            pacing: rules.pacing,
            daily_cap: rules.daily_cap,
        }
    }

    /// Lets a marked contact go out, beside others where the number may send several at once.
    async fn dispatch(
        &mut self,
        contact: &Claimed,
        mark: &Mark,
        tries: u16,
        rules: Arc<LaneRules>,
        address: InstanceAddress,
    ) {
        let is_alone = rules.concurrency == 1;
        let sending = Sending {
            context: Arc::clone(&self.context),
            hold: Arc::clone(&self.hold),
            address,
            message_type: self.types.get(&contact.queue_id).copied().unwrap_or(MessageType::Notification),
            finish: (mark.tenant, mark.queue, mark.attempt),
            attempt: tries,
            rules,
            contact: contact.clone(),
        };
        self.on_their_way.spawn(sending.run());
        if is_alone {
            self.land_one().await;
        }
    }
}
