//! An attempt under way: it is written down, then the worker looks at its lease, posts, and writes the outcome down.

use regua_evolution::Outcome;
use regua_store::contacts::Claimed;
use regua_worker::protocol::{Answer, Ending, Finishing, Marking};

use super::{Main, Turn, Working};
use crate::model::plan::Fault;

/// One attempt that is written down.
pub(super) struct Flight {
    pub(super) contact: Claimed,
    pub(super) marking: Marking,
    pub(super) state: Flying,
}

pub(super) enum Flying {
    Marked,
    /// It has looked whether its lease is certain. However long it stands still now, its request goes out next.
    Checked,
    Answered(Finishing),
}

impl Turn<'_, '_> {
    /// The next step of an attempt under way.
    pub(super) async fn fly(&mut self, working: &mut Working) -> anyhow::Result<()> {
        let place = usize::from(self.choice / 2) % working.flights.len();
        let Flight { contact, marking, state } = working.flights.remove(place);
        let name = self.name(&contact);
        let state = match state {
            Flying::Marked if working.session.is_trusted() => Some(Flying::Checked),
            Flying::Marked => {
                self.tell(&format!("finds its lease uncertain and does not send {name}"));
                Some(Flying::Answered(working.session.not_made(&marking)))
            }
            Flying::Checked => {
                let outcome = self.post(&contact, &marking)?;
                Some(Flying::Answered(working.session.came_to(&marking, &outcome).await?))
            }
            Flying::Answered(finishing) => {
                self.tell(&format!("finishes {name}"));
                if self.fault != Fault::Failed {
                    working.session.finish(&finishing).await?;
                }
                (self.fault != Fault::None).then_some(Flying::Answered(finishing))
            }
        };
        if let Some(state) = state {
            working.flights.insert(place, Flight { contact, marking, state });
        }
        Ok(())
    }

    pub(super) fn post(&mut self, contact: &Claimed, marking: &Marking) -> anyhow::Result<Outcome> {
        let (name, script) = (self.name(contact), self.script);
        self.world.tell(format!("worker {} posts {name}: {script:?}", self.n));
        let now = self.world.now;
        let person = self.world.person_of(contact.contact_id);
        self.world.gateway.post(marking.attempt(), &self.world.people[person].reference, script, now)
    }
}

impl Working {
    /// Broken: it learns what became of the mark that should have come before its request.
    pub(in super::super) async fn marked_late(
        &mut self,
        contact: Claimed,
        marking: Marking,
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
        match self.session.mark(&marking, false).await? {
            Answer::Send => {
                let state = Flying::Answered(self.session.came_to(&marking, outcome).await?);
                self.flights.push(Flight { contact, marking, state });
            }
            Answer::LaneLost => self.main = Main::LettingGo(Ending::LOST),
            Answer::NotYet | Answer::Hold(..) | Answer::Skip => {}
        }
        Ok(())
    }
}
