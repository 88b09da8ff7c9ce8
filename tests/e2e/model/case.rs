//! One case: contacts, workers, replicas of periodic and a gateway, on which the steps of a plan run.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{AttemptId, ContactId, InstanceId};
use regua_periodic::PeriodicSettings;
use regua_periodic::harness::ManualPeriodic;
use regua_secrets::SecretKeys;
use regua_worker::WorkerSettings;
use regua_worker::harness::ManualWorker;

use super::defects::Defect;
use super::fixture::{Contact, Fixture, start};
use super::gateway::Gateway;
use super::plan::{Plan, REPLICAS, Step, WORKERS};
use super::replica::ReplicaState;
use super::worker::HeldLane;
use super::{drain, environment, invariants, replica, worker};

/// Longer than any case. A lease ends by `Step::Expire` only.
pub(super) const LEASE: std::time::Duration = std::time::Duration::from_secs(86_400);

pub(super) struct Case<'a> {
    pub(super) fixture: &'a Fixture,
    pub(super) plan: &'a Plan,
    pub(super) defect: Defect,
    pub(super) contacts: Vec<Contact>,
    pub(super) workers: Vec<Worker>,
    pub(super) replicas: Vec<ReplicaState>,
    pub(super) gateway: Gateway,
    pub(super) now: DateTime<Utc>,
    /// Allowed resends of each contact: by the tenant's policy, and by an operator.
    pub(super) resends: HashMap<usize, (u32, u32)>,
    /// Looks of each attempt that found no message.
    pub(super) looks: HashMap<AttemptId, u32>,
    /// The highest epoch of each lane so far.
    pub(super) epochs: HashMap<InstanceId, i64>,
    /// What happened, for the report of a failure.
    pub(super) trace: Vec<String>,
}

/// A worker, and the state in its memory.
pub(super) struct Worker {
    pub(super) process: ManualWorker,
    pub(super) held: Option<HeldLane>,
}

impl<'a> Case<'a> {
    pub(super) async fn new(fixture: &'a Fixture, plan: &'a Plan, defect: Defect) -> Self {
        let contacts = fixture.prepare(plan).await;
        let parts = || (fixture.pool.clone(), fixture.clock.clone(), fixture.client.clone());
        let worker = |n: usize| {
            let ((pool, clock, client), metrics) = (parts(), fixture.worker_metrics.clone());
            let settings = WorkerSettings { lease: LEASE, ..WorkerSettings::named(format!("worker {n}")) };
            Worker {
                process: ManualWorker::new(pool, clock, metrics, client, SecretKeys::development(), settings),
                held: None,
            }
        };
        let replica = |_| {
            let ((pool, clock, client), metrics) = (parts(), fixture.periodic_metrics.clone());
            // A schedule of two looks reaches its end in fewer steps than one of five.
            let looks = "15,60".parse().expect("a schedule");
            let settings = PeriodicSettings { looks, ..PeriodicSettings::default() };
            ReplicaState::new(ManualPeriodic::new(pool, clock, metrics, client, SecretKeys::development(), settings))
        };
        Self {
            fixture,
            plan,
            defect,
            contacts,
            workers: (0..WORKERS).map(worker).collect(),
            replicas: (0..REPLICAS).map(replica).collect(),
            gateway: Gateway::new(),
            now: start(),
            resends: HashMap::new(),
            looks: HashMap::new(),
            epochs: HashMap::new(),
            trace: Vec::new(),
        }
    }

    /// Runs every step and then the drain, and checks the invariants after each.
    pub(super) async fn play(&mut self) -> anyhow::Result<()> {
        for step in &self.plan.steps {
            self.step(step).await?;
        }
        self.trace.push("— all faults end —".to_owned());
        drain::drain(self).await?;
        invariants::check_end(self).await
    }

    async fn step(&mut self, step: &Step) -> anyhow::Result<()> {
        match *step {
            Step::Work { worker, times, choice, fault, script } => {
                for time in 1..=times {
                    let fault = if time == times { fault } else { super::plan::Fault::None };
                    worker::step(self, worker, choice, fault, script).await?;
                    self.check_step().await?;
                    if self.workers[worker].held.is_none() {
                        break;
                    }
                }
            }
            Step::Look { replica, times, fails } => {
                for time in 1..=times {
                    replica::step(self, replica, fails && time == times).await?;
                    self.check_step().await?;
                }
            }
            _ => {
                environment::apply(self, step).await?;
                self.check_step().await?;
            }
        }
        Ok(())
    }

    /// Advances the clock by a second and checks the invariants of every step.
    pub(super) async fn check_step(&mut self) -> anyhow::Result<()> {
        self.advance_clock(TimeDelta::seconds(1));
        invariants::check_step(self).await
    }

    pub(super) fn advance_clock(&mut self, time: TimeDelta) {
        self.now += time;
        self.fixture.manual_clock.set(self.now);
    }

    pub(super) fn record(&mut self, what: String) {
        self.trace.push(what);
    }

    /// The index of the contact with this reference.
    pub(super) fn index_of_reference(&self, reference: &str) -> usize {
        self.contacts.iter().position(|contact| contact.reference == reference).expect("a contact of this case")
    }

    /// The index of the contact with this id.
    pub(super) fn contact_index(&self, contact: ContactId) -> usize {
        self.contacts.iter().position(|one| one.id == contact.0).expect("a contact of this case")
    }
}
