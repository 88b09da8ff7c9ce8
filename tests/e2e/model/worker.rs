//! A worker as the model has it: the order of a lane's steps, each of them the product's own, with its memory between them.
//! It stands still between any two, for as long as fate likes.

mod flight;

use anyhow::ensure;
use regua_domain::Rule;
use regua_evolution::Outcome;
use regua_store::contacts::Claimed;
use regua_worker::protocol::{Answer, Ending, Finishing, Marking, Session};

use super::broken::{self, Broken};
use super::plan::{Fault, Script};
use super::world::World;
use flight::{Flight, Flying};

/// A lane in a worker's hands, and where the worker is with it.
pub(super) struct Working {
    pub(super) session: Session,
    pub(super) lane: usize,
    concurrency: usize,
    main: Main,
    flights: Vec<Flight>,
}

/// Where the lane's loop is.
enum Main {
    /// It takes the next of its hand, or fills it.
    Ready,
    /// It asks for a mark; perhaps it has asked before and was not answered.
    Asking {
        contact: Claimed,
        marking: Marking,
        is_repeated: bool,
    },
    /// Broken: it has posted first.
    Posted {
        contact: Claimed,
        marking: Marking,
        outcome: Outcome,
    },
    /// What is held goes back.
    Holding(Box<Claimed>, Option<chrono::DateTime<chrono::Utc>>, Rule),
    /// A mark that may stand although its answer was lost, and that it will not make any more.
    GivingUp {
        contact: Claimed,
        finishing: Finishing,
    },
    /// The database failed it.
    Stumbled,
    LettingGo(Ending),
}

/// The worker's next step.
pub(super) async fn go_on(
    world: &mut World<'_>,
    n: usize,
    choice: u8,
    fault: Fault,
    script: Script,
) -> anyhow::Result<()> {
    let Some(mut working) = world.workers[n].working.take() else { return take(world, n, choice, fault).await };
    let mut turn = Turn { world, n, fault, script, choice };
    let stays = if working.must_fly(choice) {
        turn.fly(&mut working).await?;
        true
    } else {
        turn.main(&mut working).await?
    };
    if stays {
        world.workers[n].working = Some(working);
    }
    Ok(())
}

async fn take(world: &mut World<'_>, n: usize, choice: u8, fault: Fault) -> anyhow::Result<()> {
    let lane = usize::from(choice) % world.plan.lanes;
    let (tenant, instance) = (world.stage.tenant.id, world.stage.tenant.instances[lane]);
    if fault == Fault::Failed {
        return Ok(());
    }
    let taken = world.workers[n].process.take(tenant, instance).await?;
    let Some(mut session) = taken else {
        world.tell(format!("worker {n} rings lane {lane}, which is held"));
        return Ok(());
    };
    let epoch = session.epoch();
    let before = world.epochs.insert(instance, epoch);
    ensure!(before.is_none_or(|before| before < epoch), "an epoch did not grow: {before:?}, then {epoch}");
    world.tell(format!("worker {n} takes lane {lane} with epoch {epoch} ({fault:?})"));
    if world.broken == Broken::RetriesWhatWasLost {
        broken::retry_what_was_lost(world).await?;
    }
    if fault == Fault::None {
        let concurrency = session.concurrency().await?;
        world.workers[n].working = Some(Working { session, lane, concurrency, main: Main::Ready, flights: Vec::new() });
    }
    Ok(())
}

impl Working {
    /// Whether an attempt under way has its turn, and not the loop.
    fn must_fly(&self, choice: u8) -> bool {
        let is_waited_for = matches!(self.main, Main::LettingGo(_) | Main::Stumbled);
        !self.flights.is_empty() && (is_waited_for || self.flights.len() >= self.concurrency || choice % 2 == 1)
    }
}

/// One step of one worker.
struct Turn<'a, 'b> {
    world: &'a mut World<'b>,
    n: usize,
    fault: Fault,
    script: Script,
    choice: u8,
}

impl Turn<'_, '_> {
    fn tell(&mut self, what: &str) {
        let (n, fault) = (self.n, self.fault);
        let fault = if fault == Fault::None { String::new() } else { format!(" ({fault:?})") };
        self.world.tell(format!("worker {n} {what}{fault}"));
    }

    fn name(&self, contact: &Claimed) -> String {
        format!("contact {}", self.world.person_of(contact.contact_id))
    }

    /// Whether it looks at its lease now, and finds that it is not certain. Where the product looks just before a step that
    /// is fenced, fate may let the lease run out between the two.
    fn sees_its_end(&self, working: &Working) -> bool {
        !working.session.is_trusted() && self.choice % 4 != 3 && self.world.broken != Broken::AsksNoFence
    }

    /// The loop's next step; false when the lane is out of its hands.
    async fn main(&mut self, working: &mut Working) -> anyhow::Result<bool> {
        match std::mem::replace(&mut working.main, Main::Ready) {
            Main::Ready if self.sees_its_end(working) => working.main = Main::LettingGo(Ending::LOST),
            // It holds more than its share; fate says when.
            Main::Ready if self.choice % 16 == 6 => working.main = Main::LettingGo(Ending::GIVEN),
            Main::Ready => match working.session.draw() {
                None => self.claim(working).await?,
                Some(contact) => {
                    let marking = working.session.mark_of(&contact).await?;
                    self.ask(working, contact, marking, false).await?;
                }
            },
            Main::Asking { contact, marking, is_repeated } => {
                if is_repeated && self.sees_its_end(working) {
                    let finishing = working.session.not_made(&marking);
                    working.main = Main::GivingUp { contact, finishing };
                } else {
                    self.ask(working, contact, marking, is_repeated).await?;
                }
            }
            Main::Posted { contact, marking, outcome } => {
                broken::mark_after_the_post(self.world, working, contact, marking, outcome).await?;
            }
            Main::Holding(contact, at, rule) => {
                working.session.hold_hand(&contact, at, rule).await?;
                self.tell("lets go of what must wait");
                if self.fault != Fault::None {
                    self.stumble(working);
                }
            }
            Main::GivingUp { contact, finishing } => self.give_up(working, contact, finishing).await?,
            Main::Stumbled => return Ok(working.session.is_trusted()),
            Main::LettingGo(ending) => return self.let_go(working, ending).await,
        }
        Ok(true)
    }

    fn stumble(&self, working: &mut Working) {
        working.session.stumble();
        working.main = Main::Stumbled;
    }

    async fn claim(&mut self, working: &mut Working) -> anyhow::Result<()> {
        let ending = working.session.claim().await?;
        self.tell(&format!("claims {}", working.session.hand().count()));
        if self.fault != Fault::None {
            self.stumble(working);
        } else if let Some(ending) = ending {
            working.main = Main::LettingGo(ending);
        }
        Ok(())
    }

    async fn ask(
        &mut self,
        working: &mut Working,
        contact: Claimed,
        marking: Marking,
        is_repeated: bool,
    ) -> anyhow::Result<()> {
        let (name, number) = (self.name(&contact), marking.number());
        if self.world.broken == Broken::PostsBeforeItMarks && !is_repeated {
            let outcome = self.post(&contact, &marking)?;
            working.main = Main::Posted { contact, marking, outcome };
            return Ok(());
        }
        let answer =
            if self.fault == Fault::Failed { None } else { Some(working.session.mark(&marking, is_repeated).await?) };
        let (Some(answer), Fault::None) = (answer, self.fault) else {
            self.tell(&format!("marks attempt {number} of {name}"));
            working.main = Main::Asking { contact, marking, is_repeated: true };
            return Ok(());
        };
        self.answered(working, contact, marking, is_repeated, answer).await
    }

    async fn answered(
        &mut self,
        working: &mut Working,
        contact: Claimed,
        marking: Marking,
        is_repeated: bool,
        answer: Answer,
    ) -> anyhow::Result<()> {
        let name = self.name(&contact);
        match answer {
            Answer::Send => {
                self.tell(&format!("marks attempt {} of {name}", marking.number()));
                working.flights.push(Flight { contact, marking, state: Flying::Marked });
            }
            Answer::Skip => self.tell(&format!("may not send {name}")),
            Answer::LaneLost if self.world.broken == Broken::AsksNoFence => {
                self.tell(&format!("marks {name} although its lane is somebody else's"));
                broken::mark_without_the_fence(self.world, &contact, &marking, working.session.epoch()).await?;
                working.flights.push(Flight { contact, marking, state: Flying::Checked });
            }
            Answer::LaneLost if is_repeated => {
                // The mark may stand, and only we know that nothing was sent.
                let finishing = working.session.not_made(&marking);
                working.main = Main::GivingUp { contact, finishing };
            }
            Answer::LaneLost => {
                self.tell("hears that its lane is lost");
                working.session.put_back(contact);
                working.main = Main::LettingGo(Ending::LOST);
            }
            Answer::NotYet => working.session.put_back(contact),
            Answer::Hold(at, rule) => {
                self.tell(&format!("must wait with {name}: {rule:?}"));
                working.main = Main::Holding(Box::new(contact), at, rule);
            }
        }
        Ok(())
    }

    async fn give_up(&mut self, working: &mut Working, contact: Claimed, finishing: Finishing) -> anyhow::Result<()> {
        let name = self.name(&contact);
        self.tell(&format!("writes down that it did not send {name}"));
        if self.fault != Fault::Failed {
            working.session.finish(&finishing).await?;
        }
        if self.fault == Fault::None {
            working.session.put_back(contact);
            working.main = Main::LettingGo(Ending::LOST);
        } else {
            working.main = Main::GivingUp { contact, finishing };
        }
        Ok(())
    }

    async fn let_go(&mut self, working: &mut Working, ending: Ending) -> anyhow::Result<bool> {
        self.tell(&format!("lets lane {} go", working.lane));
        if self.fault == Fault::Failed {
            return Ok(false);
        }
        let is_gone = working.session.let_go(ending).await?;
        Ok(!is_gone && self.fault == Fault::None)
    }
}
