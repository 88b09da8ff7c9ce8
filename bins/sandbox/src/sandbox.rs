//! The state of the sandbox behind a handle that can be cloned. `routes::control` offers the handle's methods over HTTP.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use axum::http::Method;
use chrono::{DateTime, Utc};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::now;
use crate::faults::{ActiveFaults, Fault, FaultOn};
use crate::history::StoredMessage;
use crate::ids::Ids;
use crate::instance::Instance;
use crate::ledger::{Departure, Ledger, LedgerEntry, LedgerSummary};
use crate::numbers::{Directory, Numbers};
use crate::settings::{InstanceSettings, Settings, StatusTimes};

/// Bounds the file descriptors that a slow receiver of webhooks uses.
const CONCURRENT_POSTS: usize = 256;

/// A handle of a sandbox. Clones are handles of the same sandbox.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

type Clock = Box<dyn Fn() -> DateTime<Utc> + Send + Sync>;

struct Inner {
    settings: Settings,
    clock: OnceLock<Clock>,
    server_url: OnceLock<String>,
    ids: Ids,
    instances: RwLock<HashMap<String, Arc<Instance>>>,
    ledger: Ledger,
    /// Rows of the journal by instance, until the instance is created.
    earlier_rows: Mutex<HashMap<String, Vec<StoredMessage>>>,
    faults: ActiveFaults,
    directory: Directory,
    statuses: RwLock<StatusTimes>,
    calls: RwLock<BTreeMap<String, AtomicU64>>,
    http: reqwest::Client,
    posts: Semaphore,
    tasks: TaskTracker,
    shutdown: CancellationToken,
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
            server_url: settings.server_url.clone().map(OnceLock::from).unwrap_or_default(),
            statuses: RwLock::new(settings.statuses),
            ids: Ids::seeded(seed),
            instances: RwLock::default(),
            ledger,
            earlier_rows: Mutex::new(earlier_rows),
            faults: ActiveFaults::default(),
            directory: Directory::default(),
            calls: RwLock::default(),
            clock: OnceLock::new(),
            http,
            posts: Semaphore::new(CONCURRENT_POSTS),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            settings,
        }));
        for instance in sandbox.settings().instances.clone() {
            sandbox.create_instance(instance);
        }
        Ok(sandbox)
    }

    /// Replaces the machine's clock for the time at which messages leave; only the first call has an effect.
    pub fn set_clock(&self, clock: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) {
        let _ = self.0.clock.set(Box::new(clock));
    }

    /// All messages that left, oldest first.
    pub fn ledger(&self) -> Vec<Arc<LedgerEntry>> {
        self.0.ledger.page(0, usize::MAX)
    }

    /// At most `limit` messages that left after the one with the sequence `after`.
    pub fn ledger_page(&self, after: u64, limit: usize) -> Vec<Arc<LedgerEntry>> {
        self.0.ledger.page(after, limit)
    }

    /// The counts of the ledger.
    pub fn ledger_summary(&self) -> LedgerSummary {
        self.0.ledger.summary()
    }

    /// Empties the ledger.
    pub fn clear_ledger(&self) {
        self.0.ledger.clear();
    }

    /// Replaces all faults. An error describes a contradictory fault, and the earlier faults stay.
    pub fn set_faults(&self, faults: Vec<Fault>) -> Result<(), String> {
        self.0.faults.replace(faults)
    }

    /// The active faults, in the order in which they are matched.
    pub fn faults(&self) -> Vec<Fault> {
        self.0.faults.all()
    }

    /// Replaces the rule for numbers that are not on WhatsApp.
    pub fn set_numbers(&self, numbers: Numbers) {
        self.0.directory.replace(numbers);
    }

    /// Replaces the times of statuses.
    pub fn set_statuses(&self, times: StatusTimes) {
        *self.0.statuses.write().unwrap_or_else(PoisonError::into_inner) = times;
    }

    /// The number of requests by route, such as `POST /message/sendText/{instance}`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        let calls = self.0.calls.read().unwrap_or_else(PoisonError::into_inner);
        calls.iter().map(|(route, count)| (route.clone(), count.load(Ordering::Relaxed))).collect()
    }

    /// Creates an instance; false when the name is in use.
    pub fn create_instance(&self, settings: InstanceSettings) -> bool {
        let mut instances = self.0.instances.write().unwrap_or_else(PoisonError::into_inner);
        if instances.contains_key(&settings.name) {
            return false;
        }
        let mut earlier_rows = self.0.earlier_rows.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = earlier_rows.remove(&settings.name).unwrap_or_default();
        let instance = Instance::new(settings, &self.0.ids, stored);
        instances.insert(instance.name.clone(), Arc::new(instance));
        true
    }

    /// Adds a row to an instance's Message table; false when there is no such instance.
    pub fn store_message(&self, instance: &str, row: StoredMessage) -> bool {
        self.instance(instance).map(|instance| instance.history.store(row)).is_some()
    }

    /// Adds a number to Evolution's cache of numbers that exist, as a send does.
    pub fn cache_number(&self, number: &str) {
        self.0.directory.look_up(number, &crate::numbers::canonical_jid(number));
    }
}

impl Sandbox {
    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.0.clock.get().map_or_else(now, |clock| clock())
    }

    pub(crate) fn ids(&self) -> &Ids {
        &self.0.ids
    }

    pub(crate) fn strike(&self, on: FaultOn, instance: &str, number: Option<&str>) -> Option<Fault> {
        self.0.faults.strike(on, instance, number)
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.0.directory
    }

    pub(crate) fn record(&self, departure: Departure, row: Option<&StoredMessage>) {
        self.0.ledger.append(departure, row);
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    pub(crate) async fn post_slot(&self) -> Option<SemaphorePermit<'_>> {
        self.0.posts.acquire().await.ok()
    }

    pub(crate) fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }

    pub(crate) fn statuses(&self) -> StatusTimes {
        *self.0.statuses.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn server_url(&self) -> &str {
        self.0.server_url.get().map_or("", String::as_str)
    }

    pub(crate) fn set_server_url(&self, url: String) {
        let _ = self.0.server_url.set(url);
    }

    pub(crate) fn instance(&self, name: &str) -> Option<Arc<Instance>> {
        self.0.instances.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(crate) fn all_instances(&self) -> Vec<Arc<Instance>> {
        let instances = self.0.instances.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = instances.values().cloned().collect();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }

    pub(crate) fn remove_instance(&self, name: &str) {
        self.0.instances.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    pub(crate) fn count_call(&self, method: &Method, path: &str) {
        let route = format!("{method} {path}");
        let calls = self.0.calls.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = calls.get(&route) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        drop(calls);
        let mut calls = self.0.calls.write().unwrap_or_else(PoisonError::into_inner);
        calls.entry(route).or_default().fetch_add(1, Ordering::Relaxed);
    }

    /// The work continues when its request is dropped.
    pub(crate) fn spawn<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.tasks.spawn(work)
    }

    /// Drops the work at shutdown, as Evolution loses its retries.
    pub(crate) fn spawn_until_shutdown(&self, work: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.0.shutdown.clone();
        self.0.tasks.spawn(async move {
            shutdown.run_until_cancelled(work).await;
        });
    }

    pub(crate) async fn wait_for_tasks(&self, grace: Duration) {
        self.0.tasks.close();
        if tokio::time::timeout(grace, self.0.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.0.tasks.len(), "tasks were running when the grace ended");
        }
    }
}
