//! The state of the sandbox behind a handle that can be cloned. `routes::control` offers the handle's methods over HTTP.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use axum::http::Method;
use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::now;
use crate::faults::{ActiveFaults, Fault, FaultOn};
use crate::history::StoredMessage;
use crate::ids::Ids;
use crate::instance::Instance;
use crate::ledger::{Ledger, LedgerEntry, LedgerSummary};
use crate::numbers::{Directory, Numbers};
use crate::settings::{InstanceSettings, Settings, StatusTimes};

const CONCURRENT_POSTS: usize = 256;

/// A handle of a sandbox. Clones are handles of the same sandbox.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

type Clock = Box<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// The state of a sandbox.
pub struct Inner {
    pub(crate) settings: Settings,
    clock: OnceLock<Clock>,
    /// `server_url` in webhooks: the listener's address.
    pub(crate) server_url: OnceLock<String>,
    pub(crate) ids: Ids,
    instances: RwLock<BTreeMap<String, Arc<Instance>>>,
    pub(crate) ledger: Ledger,
    /// Rows of the journal by instance, until the instance is created.
    earlier_rows: Mutex<HashMap<String, Vec<StoredMessage>>>,
    faults: ActiveFaults,
    pub(crate) directory: Directory,
    statuses: RwLock<StatusTimes>,
    calls: Mutex<BTreeMap<String, u64>>,
    pub(crate) http: reqwest::Client,
    /// Bounds the file descriptors that a slow receiver of webhooks uses.
    pub(crate) posts: Semaphore,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

impl Deref for Sandbox {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Sandbox {
    /// Creates a sandbox with its first instances. [`Sandbox::serve`] makes it answer.
    pub fn new(settings: Settings) -> anyhow::Result<Self> {
        // It fails when the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .context("the client for webhooks cannot be built")?;
        let opened = settings.journal.as_deref().map(Ledger::open).transpose()?;
        let (ledger, earlier_rows) = opened.unwrap_or_default();
        let seed = settings.seed.unwrap_or_else(|| now().timestamp_micros().unsigned_abs());
        let sandbox = Self(Arc::new(Inner {
            server_url: OnceLock::new(),
            statuses: RwLock::default(),
            ids: Ids::seeded(seed),
            instances: RwLock::default(),
            ledger,
            earlier_rows: Mutex::new(earlier_rows),
            faults: ActiveFaults::default(),
            directory: Directory::default(),
            calls: Mutex::default(),
            clock: OnceLock::new(),
            http,
            posts: Semaphore::new(CONCURRENT_POSTS),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            settings,
        }));
        for instance in sandbox.settings.instances.clone() {
            sandbox.create_instance(instance);
        }
        Ok(sandbox)
    }

    /// Replaces the machine's clock for the time at which messages leave; only the first call has an effect.
    pub fn set_clock(&self, clock: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) {
        let _ = self.clock.set(Box::new(clock));
    }

    /// All messages that left, oldest first.
    pub fn ledger(&self) -> Vec<Arc<LedgerEntry>> {
        self.ledger.page(0, usize::MAX)
    }

    /// The counts of the ledger.
    pub fn ledger_summary(&self) -> LedgerSummary {
        self.ledger.summary()
    }

    /// Empties the ledger.
    pub fn clear_ledger(&self) {
        self.ledger.clear();
    }

    /// Replaces all faults. An error describes a contradictory fault, and the earlier faults stay.
    pub fn set_faults(&self, faults: Vec<Fault>) -> Result<(), String> {
        self.faults.replace(faults)
    }

    /// The active faults, in the order in which they are matched.
    pub fn faults(&self) -> Vec<Fault> {
        self.faults.all()
    }

    /// Replaces the rule for numbers that are not on WhatsApp.
    pub fn set_numbers(&self, numbers: Numbers) {
        self.directory.replace(numbers);
    }

    /// Replaces the times of statuses.
    pub fn set_statuses(&self, times: StatusTimes) {
        *self.statuses.write().unwrap_or_else(PoisonError::into_inner) = times;
    }

    /// The number of requests by route, such as `POST /message/sendText/{instance}`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Creates an instance; false when the name is in use.
    pub fn create_instance(&self, settings: InstanceSettings) -> bool {
        let mut instances = self.instances.write().unwrap_or_else(PoisonError::into_inner);
        if instances.contains_key(&settings.name) {
            return false;
        }
        let mut earlier_rows = self.earlier_rows.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = earlier_rows.remove(&settings.name).unwrap_or_default();
        let instance = Instance::new(settings, &self.ids, stored);
        instances.insert(instance.name.clone(), Arc::new(instance));
        true
    }

    /// Adds a row to an instance's Message table; false when there is no such instance.
    pub fn store_message(&self, instance: &str, row: StoredMessage) -> bool {
        self.instance(instance).map(|instance| instance.history.store(row)).is_some()
    }
}

impl Sandbox {
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.get().map_or_else(now, |clock| clock())
    }

    /// The fault that strikes a request, after its latency; without one, a fault that has no effect.
    pub(crate) async fn strike(&self, on: FaultOn, instance: &str, number: Option<&str>) -> Fault {
        let Some(fault) = self.faults.strike(on, instance, number) else { return Fault::default() };
        sleep(Duration::from_millis(fault.latency_ms)).await;
        fault
    }

    pub(crate) fn statuses(&self) -> StatusTimes {
        *self.statuses.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn instance(&self, name: &str) -> Option<Arc<Instance>> {
        self.instances.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All instances, by name.
    pub(crate) fn all_instances(&self) -> Vec<Arc<Instance>> {
        self.instances.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn remove_instance(&self, name: &str) {
        self.instances.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    pub(crate) fn count_call(&self, method: &Method, path: &str) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry(format!("{method} {path}")).or_default() += 1;
    }

    /// Drops the work at shutdown, as Evolution loses its retries.
    pub(crate) fn spawn_until_shutdown(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.shutdown.clone().run_until_cancelled_owned(work));
    }
}
