//! What one case of the model does: a small fleet, and the steps that fate takes. Every number in a step is read modulo
//! what is there, so that a plan from which steps were taken away is still a plan.

use proptest::prelude::*;
use proptest::sample::select;

/// Workers of every case.
pub(super) const WORKERS: usize = 3;

/// Replicas of periodic.
pub(super) const REPLICAS: usize = 2;

/// One case.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Both queues on one number, or each on its own.
    pub(super) lanes: usize,
    /// Sends that may be under way at once.
    pub(super) concurrency: i16,
    /// Contacts of the overdue queue, and of the notification queue.
    pub(super) contacts: [usize; 2],
    /// Whether whoever is still at it when all faults end dies, or finishes first.
    pub(super) ends_with_a_crash: bool,
    pub(super) steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A worker goes on, so many steps of the protocol; the fault is the last one's.
    Work { worker: usize, times: u8, choice: u8, fault: Fault, script: Script },
    /// Its memory is gone.
    Crash { worker: usize },
    /// PostgreSQL lets the lease run out; the worker's own clock has said so before.
    Expire { lane: usize },
    /// A worker prolongs its lease.
    Beat { worker: usize },
    /// What was posted and held up on its way leaves now.
    Leave,
    /// What the gateway's history shows from now on.
    See(Sight),
    /// A replica of periodic goes on looking.
    Look { replica: usize, times: u8, fails: bool },
    /// Its memory is gone.
    Forget { replica: usize },
    /// The gateway tells (perhaps again) of a message that left.
    Tell { message: usize },
    /// A person decides an unconfirmed contact.
    Decide { contact: usize, verdict: Verdict },
    /// A person controls a queue.
    Control { queue: usize, action: Action },
    /// Time passes.
    Pass { seconds: i64 },
}

/// What a commit meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// It is done, and its answer is lost.
    AnswerLost,
    /// It is not done.
    Failed,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Sent,
    /// It leaves, and the answer is lost.
    SentAnswerLost,
    /// It leaves, and the gateway cannot write it down.
    SentNotStored,
    /// It is held up and leaves later, if at all; the answer is lost.
    HeldUp,
    /// It does not leave, and the answer is lost.
    Lost,
    NotSent,
    Refused,
}

/// What the gateway's history shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    All,
    /// It answers, and shows nothing.
    Nothing,
    /// It does not answer.
    NoAnswer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Only where it is true.
    Confirm,
    Resend,
    GiveUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Pause,
    Resume,
    Cancel,
}

pub(super) fn plans() -> impl Strategy<Value = Plan> {
    let fleet = (1..=2_usize, 1..=2_i16, 1..=2_usize, 1..=3_usize, any::<bool>());
    (fleet, prop::collection::vec(step(), 30..=70)).prop_map(|(fleet, steps)| {
        let (lanes, concurrency, overdue, notification, ends_with_a_crash) = fleet;
        Plan { lanes, concurrency, contacts: [overdue, notification], ends_with_a_crash, steps }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..WORKERS;
    let replica = 0..REPLICAS;
    prop_oneof![
        40 => (worker.clone(), 1..=5_u8, 0..8_u8, fault(), script())
            .prop_map(|(worker, times, choice, fault, script)| Step::Work { worker, times, choice, fault, script }),
        4 => worker.clone().prop_map(|worker| Step::Crash { worker }),
        6 => (0..2_usize).prop_map(|lane| Step::Expire { lane }),
        2 => worker.prop_map(|worker| Step::Beat { worker }),
        4 => Just(Step::Leave),
        3 => select(vec![Sight::All, Sight::Nothing, Sight::NoAnswer]).prop_map(Step::See),
        10 => (replica.clone(), 1..=8_u8, prop::bool::weighted(0.1))
            .prop_map(|(replica, times, fails)| Step::Look { replica, times, fails }),
        1 => replica.prop_map(|replica| Step::Forget { replica }),
        6 => (0..8_usize).prop_map(|message| Step::Tell { message }),
        4 => (0..5_usize, select(vec![Verdict::Confirm, Verdict::Resend, Verdict::GiveUp]))
            .prop_map(|(contact, verdict)| Step::Decide { contact, verdict }),
        3 => (0..2_usize, select(vec![Action::Pause, Action::Resume, Action::Resume, Action::Cancel]))
            .prop_map(|(queue, action)| Step::Control { queue, action }),
        10 => select(vec![10_i64, 20, 120, 700, 10_800]).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![8 => Just(Fault::None), 1 => Just(Fault::AnswerLost), 1 => Just(Fault::Failed)]
}

fn script() -> impl Strategy<Value = Script> {
    prop_oneof![
        6 => Just(Script::Sent),
        3 => Just(Script::SentAnswerLost),
        1 => Just(Script::SentNotStored),
        4 => Just(Script::HeldUp),
        3 => Just(Script::Lost),
        3 => Just(Script::NotSent),
        1 => Just(Script::Refused),
    ]
}
