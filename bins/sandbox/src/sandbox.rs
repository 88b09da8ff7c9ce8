//! The sandbox itself: everything it remembers, behind a handle that can be cloned and used from inside the process.
//! The same things can be done over HTTP (`routes::control`).

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use axum::http::Method;
use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::now;
use crate::faults::{Fault, FaultBook};
use crate::history::StoredMessage;
use crate::ids::Ids;
use crate::instance::{Instance, InstanceState};
use crate::ledger::{Ledger, LedgerEntry, LedgerSummary};
use crate::numbers::{Directory, Numbers};
use crate::settings::{InstanceSettings, Settings, StatusTimes};
use crate::webhook;

/// Webhooks posted at the same time, so that a slow receiver does not use up the file descriptors.
const POSTS_AT_ONCE: usize = 256;

/// A running sandbox, or one about to run. Clones are the same sandbox.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

/// Tells another time than the machine's.
type OwnClock = Box<dyn Fn() -> DateTime<Utc> + Send + Sync>;

struct Inner {
    settings: Settings,
    clock: OnceLock<OwnClock>,
    server_url: OnceLock<String>,
    ids: Ids,
    instances: RwLock<HashMap<String, Arc<Instance>>>,
    ledger: Ledger,
    /// Rows of an earlier process, by instance, until the instance is there again.
    earlier: Mutex<HashMap<String, Vec<StoredMessage>>>,
    faults: FaultBook,
    directory: Directory,
    statuses: RwLock<StatusTimes>,
    calls: RwLock<BTreeMap<String, AtomicU64>>,
    http: reqwest::Client,
    posts: Semaphore,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Sandbox {
    /// Makes a sandbox with its first instances. It answers once [`Sandbox::serve`] runs.
    ///
    /// # Errors
    /// When the client for webhooks cannot be built, or the journal cannot be read.
    pub fn new(settings: Settings) -> anyhow::Result<Self> {
        // An error only says that the process has chosen its provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .context("the client for webhooks could not be built")?;
        let kept = settings.journal.as_deref().map(Ledger::kept_in).transpose()?;
        let (ledger, earlier) = kept.unwrap_or_default();
        let seed = settings.seed.unwrap_or_else(|| now().timestamp_micros().unsigned_abs());
        let sandbox = Self(Arc::new(Inner {
            server_url: settings.server_url.clone().map(OnceLock::from).unwrap_or_default(),
            statuses: RwLock::new(settings.statuses),
            ids: Ids::seeded(seed),
            instances: RwLock::default(),
            ledger,
            earlier: Mutex::new(earlier),
            faults: FaultBook::default(),
            directory: Directory::default(),
            calls: RwLock::default(),
            clock: OnceLock::new(),
            http,
            posts: Semaphore::new(POSTS_AT_ONCE),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            settings,
        }));
        for instance in sandbox.settings().instances.clone() {
            sandbox.create_instance(instance);
        }
        Ok(sandbox)
    }

    /// Has messages leave at the time that `clock` tells, instead of the machine's; only the first call counts.
    pub fn set_clock(&self, clock: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) {
        let _ = self.0.clock.set(Box::new(clock));
    }

    /// Everything that left so far, oldest first.
    pub fn ledger(&self) -> Vec<Arc<LedgerEntry>> {
        self.0.ledger.page(0, usize::MAX)
    }

    /// At most `limit` messages that left after the one with the sequence `after`.
    pub fn ledger_page(&self, after: u64, limit: usize) -> Vec<Arc<LedgerEntry>> {
        self.0.ledger.page(after, limit)
    }

    /// How many left, and how many of them twice.
    pub fn ledger_summary(&self) -> LedgerSummary {
        self.0.ledger.summary()
    }

    /// Forgets what left.
    pub fn clear_ledger(&self) {
        self.0.ledger.clear();
    }

    /// Replaces all faults; an empty list ends them.
    ///
    /// # Errors
    /// A sentence about the fault that contradicts itself; the old ones then stay.
    pub fn set_faults(&self, faults: Vec<Fault>) -> Result<(), String> {
        self.0.faults.replace(faults)
    }

    /// The faults in force, in the order in which they are tried.
    pub fn faults(&self) -> Vec<Fault> {
        self.0.faults.all()
    }

    /// Replaces the rule that says who is not on WhatsApp.
    pub fn set_numbers(&self, numbers: Numbers) {
        self.0.directory.replace(numbers);
    }

    /// Changes which statuses sent messages get, and when.
    pub fn set_statuses(&self, times: StatusTimes) {
        *self.0.statuses.write().unwrap_or_else(PoisonError::into_inner) = times;
    }

    /// Requests so far by route, such as `POST /message/sendText/{instance}`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        let calls = self.0.calls.read().unwrap_or_else(PoisonError::into_inner);
        calls.iter().map(|(route, count)| (route.clone(), count.load(Ordering::Relaxed))).collect()
    }

    /// Creates an instance; false where the name is taken.
    pub fn create_instance(&self, settings: InstanceSettings) -> bool {
        let mut instances = self.0.instances.write().unwrap_or_else(PoisonError::into_inner);
        if instances.contains_key(&settings.name) {
            return false;
        }
        let mut earlier = self.0.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = earlier.remove(&settings.name).unwrap_or_default();
        let instance = Instance::new(settings, &self.0.ids, stored);
        instances.insert(instance.name.clone(), Arc::new(instance));
        true
    }

    /// Moves an instance to a state, with its connection.update; false where there is no such instance.
    pub fn set_state(&self, instance: &str, state: InstanceState) -> bool {
        let Some(instance) = self.instance(instance) else { return false };
        self.move_to(&instance, state);
        true
    }

    /// Stores a row in an instance's Message table without sending anything; false where there is no such instance.
    pub fn store_message(&self, instance: &str, row: StoredMessage) -> bool {
        self.instance(instance).map(|instance| instance.history.store(row)).is_some()
    }

    /// Puts a number into Evolution's cache of numbers that exist, as an earlier send would have.
    pub fn cache_number(&self, number: &str) {
        self.0.directory.look_up(number, &crate::numbers::canonical_jid(number));
    }
}

/// What the rooms of this crate need of it.
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

    pub(crate) fn books(&self) -> (&Ledger, &FaultBook, &Directory) {
        (&self.0.ledger, &self.0.faults, &self.0.directory)
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

    pub(crate) fn move_to(&self, instance: &Instance, state: InstanceState) {
        instance.move_to(state);
        self.announce(instance, state, state.status_reason());
    }

    pub(crate) fn announce(&self, instance: &Instance, state: InstanceState, reason: u16) {
        let Some(name) = state.as_str() else { return };
        webhook::emit(self, instance, "connection.update", || {
            let mut data = json!({"instance": instance.name, "state": name, "statusReason": reason});
            if state == InstanceState::Open {
                data["wuid"] = json!(instance.own_jid());
                data["profileName"] = json!(instance.name);
                data["profilePictureUrl"] = json!(null);
            }
            data
        });
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

    /// Work that goes on when the request that asked for it is gone.
    pub(crate) fn spawn<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.tasks.spawn(work)
    }

    /// Work that is dropped at shutdown, as a stopped Evolution forgets its retries.
    pub(crate) fn spawn_until_shutdown(&self, work: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.0.shutdown.clone();
        self.0.tasks.spawn(async move {
            shutdown.run_until_cancelled(work).await;
        });
    }

    pub(crate) async fn wait_for_tasks(&self, grace: Duration) {
        self.0.tasks.close();
        if tokio::time::timeout(grace, self.0.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.0.tasks.len(), "work was still under way when the grace ended");
        }
    }
}
