//! The plan of one case: a small fleet and a random sequence of steps. Indexes in a step are taken modulo what exists,
//! so a plan stays valid when proptest removes steps.

use proptest::prelude::*;
use proptest::sample::select;

/// Workers of every case.
pub(super) const WORKERS: usize = 3;

/// Replicas of periodic.
pub(super) const REPLICAS: usize = 2;

#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// 1: both queues use one instance; 2: each has its own.
    pub(super) lanes: usize,
    /// Sends that may be under way at once.
    pub(super) concurrency: i16,
    /// Contacts of the overdue queue, and of the notification queue.
    pub(super) contacts: [usize; 2],
    /// Whether the workers crash when the faults end; otherwise they finish first.
    pub(super) ends_with_a_crash: bool,
    pub(super) steps: Vec<Step>,
}

/// One event of a case.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A worker makes this many steps of the protocol; the fault applies to the last one.
    Work {
        worker: usize,
        times: u8,
        choice: u8,
        fault: Fault,
        script: Script,
    },
    /// The worker loses its memory.
    Crash {
        worker: usize,
    },
    /// The lease expires in PostgreSQL, after it expired by the worker's own clock.
    Expire {
        lane: usize,
    },
    /// A worker renews its lease.
    Heartbeat {
        worker: usize,
    },
    /// All held-up messages leave.
    ReleaseHeldUp,
    /// Sets what the gateway's history shows from now on.
    ShowHistory(HistoryView),
    /// A replica of periodic makes this many steps; `fails` applies to the last one.
    Look {
        replica: usize,
        times: u8,
        fails: bool,
    },
    /// The replica loses its memory.
    RestartReplica {
        replica: usize,
    },
    /// The gateway posts a webhook of a message that left, perhaps a repeated one.
    Webhook {
        message: usize,
    },
    /// An operator decides an unconfirmed contact.
    Decide {
        contact: usize,
        decision: OperatorDecision,
    },
    /// An operator controls a queue.
    Control {
        queue: usize,
        action: Action,
    },
    AdvanceClock {
        seconds: i64,
    },
}

/// The fault of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// The commit is made, and its answer is lost.
    AnswerLost,
    /// The commit is not made.
    Failed,
}

/// What the gateway does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Sent,
    /// The message leaves, and the answer is lost.
    SentAnswerLost,
    /// The message leaves, and the gateway cannot store it.
    SentNotStored,
    /// The message is held up and may leave later; the answer is lost.
    HeldUp,
    /// The message does not leave, and the answer is lost.
    Lost,
    NotSent,
    Refused,
}

/// What the gateway's history shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HistoryView {
    All,
    /// The gateway answers, and shows no message.
    Empty,
    /// The gateway does not answer.
    NoAnswer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OperatorDecision {
    /// Applies only if the message left.
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
        2 => worker.prop_map(|worker| Step::Heartbeat { worker }),
        4 => Just(Step::ReleaseHeldUp),
        3 => select(vec![HistoryView::All, HistoryView::Empty, HistoryView::NoAnswer]).prop_map(Step::ShowHistory),
        10 => (replica.clone(), 1..=8_u8, prop::bool::weighted(0.1))
            .prop_map(|(replica, times, fails)| Step::Look { replica, times, fails }),
        1 => replica.prop_map(|replica| Step::RestartReplica { replica }),
        6 => (0..8_usize).prop_map(|message| Step::Webhook { message }),
        4 => (0..5_usize, select(vec![OperatorDecision::Confirm, OperatorDecision::Resend, OperatorDecision::GiveUp]))
            .prop_map(|(contact, decision)| Step::Decide { contact, decision }),
        3 => (0..2_usize, select(vec![Action::Pause, Action::Resume, Action::Resume, Action::Cancel]))
            .prop_map(|(queue, action)| Step::Control { queue, action }),
        10 => select(vec![10_i64, 20, 120, 700, 10_800]).prop_map(|seconds| Step::AdvanceClock { seconds }),
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
