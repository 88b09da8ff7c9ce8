//! The schedule of a run: which faults begin when. It depends on the seed only. `inject` executes it.

use std::collections::HashMap;
use std::time::Duration;

use fastrand::Rng;

use super::fault_kinds::{FAULT_KINDS, FaultKind, draw};
use super::faults::Fault;

/// Average time between the beginnings of two faults.
const STEP: Duration = Duration::from_secs(2);

/// A pause follows this number of faults, so that the recovery can end.
const FAULTS_BETWEEN_PAUSES: usize = 20;
const PAUSE: Duration = Duration::from_secs(10);

/// A fault with its time.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedFault {
    /// Beginning of the fault, after the beginning of the run.
    pub at: Duration,
    /// Duration of the fault.
    pub lasts: Duration,
    pub(crate) fault: Fault,
}

impl PlannedFault {
    /// The target of the fault. Faults of one target never overlap.
    pub fn target(&self) -> String {
        self.fault.target()
    }

    /// The name of the kind of fault.
    pub fn label(&self) -> String {
        self.fault.label()
    }
}

/// The duration of a run with this number of faults.
pub fn span(faults: usize) -> Duration {
    beginning_of(faults).max(Duration::from_secs(10))
}

/// The number of kinds of faults; kinds that occur twice as often as the others count twice.
pub const fn number_of_kinds() -> usize {
    FAULT_KINDS.len()
}

fn beginning_of(fault: usize) -> Duration {
    let times = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    STEP * times(fault) + PAUSE * times(fault / FAULTS_BETWEEN_PAUSES)
}

/// The faults of a run, by time. Every kind occurs once before any kind occurs again.
pub fn schedule(seed: u64, faults: usize) -> Vec<PlannedFault> {
    let mut rng = Rng::with_seed(seed);
    let mut kinds: Vec<FaultKind> = Vec::new();
    let mut free_at: HashMap<String, Duration> = HashMap::new();
    let mut planned: Vec<_> = (0..faults)
        .map(|n| {
            if kinds.is_empty() {
                kinds = FAULT_KINDS.to_vec();
                rng.shuffle(&mut kinds);
            }
            let kind = kinds.pop().unwrap_or(FAULT_KINDS[0]);
            let (fault, lasts) = draw(kind, &mut rng);
            let earliest = beginning_of(n) + STEP.mul_f64(rng.f64());
            let free_at = free_at.entry(fault.target()).or_default();
            let at = earliest.max(*free_at);
            *free_at = at + lasts + fault.recovery_time();
            PlannedFault { at, lasts, fault }
        })
        .collect();
    planned.sort_by_key(|planned| planned.at);
    planned
}
