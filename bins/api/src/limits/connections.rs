//! The open connections of a process: their budget, and how long each may be idle. Where the budget is used up, a new
//! connection closes an idle one. A request that is under way is never interrupted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::client_address::{ClientAddress, TrustedProxies};
use super::refused::Refusals;
use super::resources::PARTS;
use super::settings::LimitSettings;
use crate::metrics::ApiMetrics;

/// Connections that may be closing for new ones at once. For a moment a process has so many beyond its budget.
pub(crate) const CLOSING: usize = 64;
/// Between two looks at a request that began while its connection was being closed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The budget of connections. An address has a quarter of it. A trusted proxy, which connects for many clients, has
/// no budget of its own, and its connections are closed for no others: it may be sending a request on an idle one.
pub(crate) struct ConnectionBudget {
    total: usize,
    of_one_address: usize,
    idle_before_credential: Duration,
    idle: Duration,
    trusted_proxies: TrustedProxies,
    open: Mutex<Open>,
    metrics: ApiMetrics,
    refusals: Refusals,
}

#[derive(Default)]
struct Open {
    last_id: u64,
    /// The connections that are not closing, by address.
    holders: HashMap<IpAddr, Holder>,
    total: usize,
    /// The connections that close for new ones.
    closing: HashSet<u64>,
}

#[derive(Default)]
struct Holder {
    connections: usize,
    /// The first one is closed first.
    idle: BTreeMap<Idle, CancellationToken>,
}

/// An idle connection. Those without a valid credential come first, and the longest-idle ones first among them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Idle {
    has_credential: bool,
    since: Instant,
    id: u64,
}

impl Open {
    /// The address with the most connections among those with an idle one.
    fn largest(&self) -> Option<IpAddr> {
        let with_idle = self.holders.iter().filter_map(|(address, holder)| {
            let (idle, _) = holder.idle.first_key_value()?;
            Some((holder.connections, Reverse(*idle), *address))
        });
        with_idle.max().map(|(.., address)| address)
    }

    /// Closes an idle connection of an address. False when it has none, or too many connections are closing.
    fn close_idle(&mut self, address: IpAddr) -> bool {
        let Some(holder) = self.holders.get_mut(&address).filter(|_| self.closing.len() < CLOSING) else {
            return false;
        };
        let Some((idle, close)) = holder.idle.pop_first() else { return false };
        self.closing.insert(idle.id);
        close.cancel();
        self.remove(address);
        true
    }

    fn remove(&mut self, address: IpAddr) {
        self.total -= 1;
        if let Some(holder) = self.holders.get_mut(&address) {
            holder.connections -= 1;
            if holder.connections == 0 {
                self.holders.remove(&address);
            }
        }
    }
}

impl ConnectionBudget {
    pub(super) fn new(settings: &LimitSettings, metrics: ApiMetrics, refusals: Refusals) -> Self {
        let total = settings.connections.max(1);
        Self {
            total,
            of_one_address: (total / PARTS).max(1),
            idle_before_credential: settings.idle_before_credential,
            idle: settings.idle,
            trusted_proxies: settings.trusted_proxies.clone(),
            open: Mutex::default(),
            metrics,
            refusals,
        }
    }

    /// Registers a connection; none when there are too many, and no idle one can be closed. The connection must close
    /// when `close` is cancelled.
    pub(crate) fn open(self: &Arc<Self>, peer: IpAddr, close: CancellationToken) -> Option<Connection> {
        let peer = ClientAddress::new(peer);
        let (address, is_proxy) = (peer.site(), self.trusted_proxies.contains(peer.ip()));
        let mut open = lock(&self.open);
        let own = open.holders.get(&address).map_or(0, |holder| holder.connections);
        let is_own_full = !is_proxy && own >= self.of_one_address;
        if is_own_full || open.total >= self.total {
            let closes_of = if is_own_full { Some(address) } else { open.largest() };
            if !closes_of.is_some_and(|address| open.close_idle(address)) {
                self.refusals.count("connections");
                return None;
            }
            self.metrics.connections_closed.with_label_values(&["room"]).inc();
        }
        open.last_id += 1;
        open.total += 1;
        open.holders.entry(address).or_default().connections += 1;
        let idle = Idle { has_credential: false, since: Instant::now(), id: open.last_id };
        drop(open);
        let state = Mutex::new(State { requests: 0, idle });
        let connection = Connection { budget: Arc::clone(self), address, is_proxy, close, state };
        connection.offer(idle);
        Some(connection)
    }
}

/// An open connection, until it is dropped.
pub(crate) struct Connection {
    budget: Arc<ConnectionBudget>,
    address: IpAddr,
    is_proxy: bool,
    close: CancellationToken,
    state: Mutex<State>,
}

struct State {
    /// Requests under way.
    requests: usize,
    /// The present or the last idle time.
    idle: Idle,
}

impl Connection {
    /// A request begins.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        let mut state = lock(&self.state);
        state.requests += 1;
        if let Some(holder) = lock(&self.budget.open).holders.get_mut(&self.address) {
            holder.idle.remove(&state.idle);
        }
        UnderWay(Arc::clone(self))
    }

    /// Returns when the connection must close: for another one, at the end of the process, or because it was idle for
    /// too long.
    pub(crate) async fn must_close(&self) {
        let is_idle_too_long = async {
            loop {
                let left = self.idle_time_left();
                if left.is_zero() {
                    return self.count_closed("idle");
                }
                tokio::time::sleep(left).await;
            }
        };
        tokio::select! {
            () = self.close.cancelled() => {}
            () = is_idle_too_long => {}
        }
    }

    pub(crate) fn count_closed(&self, reason: &str) {
        self.budget.metrics.connections_closed.with_label_values(&[reason]).inc();
    }

    /// Returns when no request is under way.
    pub(crate) async fn has_no_request(&self) {
        while lock(&self.state).requests > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The whole time while a request is under way.
    fn idle_time_left(&self) -> Duration {
        let state = lock(&self.state);
        let has_credential = self.is_proxy || state.idle.has_credential;
        let limit = if has_credential { self.budget.idle } else { self.budget.idle_before_credential };
        if state.requests > 0 { limit } else { limit.saturating_sub(state.idle.since.elapsed()) }
    }

    /// Lets a new connection close this one, which is idle.
    fn offer(&self, idle: Idle) {
        let mut open = lock(&self.budget.open);
        if self.is_proxy || open.closing.contains(&idle.id) {
            return;
        }
        if let Some(holder) = open.holders.get_mut(&self.address) {
            holder.idle.insert(idle, self.close.clone());
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let idle = lock(&self.state).idle;
        let mut open = lock(&self.budget.open);
        if open.closing.remove(&idle.id) {
            return;
        }
        if let Some(holder) = open.holders.get_mut(&self.address) {
            holder.idle.remove(&idle);
        }
        open.remove(self.address);
    }
}

/// A request under way on a connection, until its body is read and its answer is written.
pub(crate) struct UnderWay(Arc<Connection>);

impl UnderWay {
    /// The request has a valid key, session or webhook secret.
    pub(crate) fn record_credential(&self) {
        lock(&self.0.state).idle.has_credential = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.requests -= 1;
        if state.requests == 0 {
            state.idle.since = Instant::now();
            self.0.offer(state.idle);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
