//! One case: its people, its workers, its replicas of periodic and its gateway, and one step after another.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use regua_boot::SecretKeys;
use regua_domain::{AttemptId, ContactId, InstanceId};
use regua_periodic::PeriodicSettings;
use regua_periodic::protocol::Replica;
use regua_worker::WorkerSettings;
use regua_worker::protocol::Process;

use super::broken::Broken;
use super::gateway::Gateway;
use super::plan::{Plan, REPLICAS, Step, WORKERS};
use super::replica::Looking;
use super::stage::{Person, Stage, start};
use super::worker::Working;
use super::{environment, invariants, replica, settle, worker};

/// A lease that no case outlives; it ends when a step says so.
pub(super) const LEASE: std::time::Duration = std::time::Duration::from_secs(86_400);

/// One case.
pub(super) struct World<'a> {
    pub(super) stage: &'a Stage,
    pub(super) plan: &'a Plan,
    pub(super) broken: Broken,
    pub(super) people: Vec<Person>,
    pub(super) workers: Vec<Worker>,
    pub(super) replicas: Vec<Looking>,
    pub(super) gateway: Gateway,
    pub(super) now: DateTime<Utc>,
    /// How often a contact was allowed one message more, by the tenant's rule and by a person.
    pub(super) resends: HashMap<usize, (u32, u32)>,
    /// Looks that could see and saw nothing.
    pub(super) looks: HashMap<AttemptId, u32>,

    /// The highest epoch of each lane so far.
    pub(super) epochs: HashMap<InstanceId, i64>,
    /// What happened, for people.
    pub(super) story: Vec<String>,
}

/// A worker, and what it has in its memory.
pub(super) struct Worker {
    pub(super) process: Process,
    pub(super) working: Option<Working>,
}

impl<'a> World<'a> {
    pub(super) async fn new(stage: &'a Stage, plan: &'a Plan, broken: Broken) -> Self {
        let people = stage.prepare(plan).await;
        let parts = || (stage.pool.clone(), stage.clock.clone(), stage.metrics.clone(), stage.client.clone());
        let worker = |n: usize| {
            let (pool, clock, metrics, client) = parts();
            let settings = WorkerSettings { lease: LEASE, ..WorkerSettings::named(format!("worker {n}")) };
            Worker {
                process: Process::new(pool, clock, metrics, client, SecretKeys::development(), settings),
                working: None,
            }
        };
        let replica = |_| {
            let (pool, clock, metrics, client) = parts();
            // Two looks reach in a few steps what five would reach in many.
            let looks = "15,60".parse().expect("a schedule");
            let settings = PeriodicSettings { looks, ..PeriodicSettings::default() };
            Looking::new(Replica::new(pool, clock, metrics, client, SecretKeys::development(), settings))
        };
        Self {
            stage,
            plan,
            broken,
            people,
            workers: (0..WORKERS).map(worker).collect(),
            replicas: (0..REPLICAS).map(replica).collect(),
            gateway: Gateway::new(),
            now: start(),
            resends: HashMap::new(),
            looks: HashMap::new(),
            epochs: HashMap::new(),
            story: Vec::new(),
        }
    }

    /// Every step, then the end of all faults, with the invariants after each.
    pub(super) async fn play(&mut self) -> anyhow::Result<()> {
        for step in &self.plan.steps {
            self.step(step).await?;
        }
        self.story.push("— all faults end —".to_owned());
        settle::settle(self).await?;
        invariants::at_the_end(self).await
    }

    async fn step(&mut self, step: &Step) -> anyhow::Result<()> {
        match *step {
            Step::Work { worker, times, choice, fault, script } => {
                for time in 1..=times {
                    let fault = if time == times { fault } else { super::plan::Fault::None };
                    worker::go_on(self, worker, choice, fault, script).await?;
                    self.after_each().await?;
                    if self.workers[worker].working.is_none() {
                        break;
                    }
                }
            }
            Step::Look { replica, times, fails } => {
                for time in 1..=times {
                    replica::go_on(self, replica, fails && time == times).await?;
                    self.after_each().await?;
                }
            }
            _ => {
                environment::happen(self, step).await?;
                self.after_each().await?;
            }
        }
        Ok(())
    }

    /// A second goes by, and what must always hold is looked at.
    pub(super) async fn after_each(&mut self) -> anyhow::Result<()> {
        self.pass(TimeDelta::seconds(1));
        invariants::always(self).await
    }

    pub(super) fn pass(&mut self, time: TimeDelta) {
        self.now += time;
        self.stage.hands.set(self.now);
    }

    pub(super) fn tell(&mut self, what: String) {
        self.story.push(what);
    }

    /// The place of the person with this reference.
    pub(super) fn person(&self, reference: &str) -> usize {
        self.people.iter().position(|person| person.reference == reference).expect("one of ours")
    }

    /// Which of the people a contact is.
    pub(super) fn person_of(&self, contact: ContactId) -> usize {
        self.people.iter().position(|person| person.id == contact.0).expect("one of ours")
    }
}
