//! What is asked of every request besides who makes it: how often, how many at once, how much memory, how much work. So
//! nobody slows others down, by many requests, by large ones, or by slow ones. docs/limits.md says what holds and why.

mod local;
mod rates;
mod shared;
mod shares;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::http::request::Parts;
use regua_boot::{Clock, Metrics};
use regua_domain::{Rate, Taken, TenantId};
use regua_store::api_keys::ApiKey;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use self::rates::{Rates, Subject};
use self::shares::{Shares, UsedUp};
use crate::client_address::{ClientAddress, TrustedProxies};
use crate::error::{Code, Problem};
use crate::workshop::Workshop;

pub use self::shared::RedisAddress;
pub(crate) use self::shares::Part;

/// Memory for bodies is counted in pieces of so many bytes.
const PIECE: usize = 1024;
/// Of what is shared out, no tenant and no address has more than a part of so many.
const PARTS: usize = 4;
/// A body from which a batch counts as a large one: some hundreds of contacts.
const LARGE_BODY: usize = 64 << 10;
/// How long a large batch lets small ones go before it, between two of its statements.
const LARGE_GIVES_WAY: Duration = Duration::from_millis(25);
/// And how long in all, so that small ones without end hold no large one up.
const LARGE_GIVES_WAY_IN_ALL: Duration = Duration::from_secs(1);
/// Look-ups of keys that nobody has shown before, at once: a quarter of the usual connections.
const LOOK_UPS: usize = 4;
/// How long such a look-up may wait for its turn.
const LOOK_UP_PATIENCE: Duration = Duration::from_secs(2);
/// What a caller is told to wait when its own requests under way are too many.
const USUAL_RETRY: Duration = Duration::from_secs(1);

/// How the API protects itself.
#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// Proxies whose word about the caller's address is taken.
    pub trusted_proxies: TrustedProxies,
    /// Where all processes count together; none: each counts for itself.
    pub redis: Option<RedisAddress>,
    /// Requests of one address with good keys; none: any number.
    pub per_address: Option<Rate>,
    /// Requests of one address whose key, or webhook secret, is refused.
    pub refused_keys: Rate,
    /// For how long a key that was looked up is believed to be as it was.
    pub key_believed_for: Duration,
    /// Connections at once; a quarter of them may be one address's, unless it is a trusted proxy's.
    pub connections: usize,
    /// Requests under way at once; a quarter of them may be one tenant's.
    pub concurrent_requests: usize,
    /// Bytes of bodies in memory; a quarter of them may be one tenant's.
    pub body_bytes: usize,
    /// Large batches at work at once; half of them may be one tenant's.
    pub cores: usize,
    /// How long a new connection may take to send the head of its first request.
    pub first_head_within: Duration,
    /// How long a connection may rest between two requests, the head of the next one included.
    pub idle: Duration,
}

impl Default for LimitSettings {
    fn default() -> Self {
        let rate = |per_minute| NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        Self {
            trusted_proxies: TrustedProxies::default(),
            redis: None,
            per_address: Some(Rate::per_minute(rate(6000))),
            refused_keys: Rate::with_burst(rate(60), rate(30)),
            key_believed_for: Duration::from_secs(2),
            connections: 4096,
            concurrent_requests: 512,
            body_bytes: 256 << 20,
            cores: std::thread::available_parallelism().map_or(2, usize::from),
            first_head_within: Duration::from_secs(15),
            idle: Duration::from_secs(75),
        }
    }
}

/// What a process holds its callers to.
pub(crate) struct Limits {
    settings: LimitSettings,
    rates: Rates,
    requests: Semaphore,
    connections: Shares<IpAddr>,
    tenants_requests: Shares<TenantId>,
    bodies: Shares<TenantId>,
    large_batches: Shares<TenantId>,
    small_batches: Semaphore,
    small_under_way: watch::Sender<usize>,
    workshop: Workshop,
    look_ups: Semaphore,
    body_patience: Duration,
    metrics: Metrics,
}

/// How a request's maker stands, for the answer's headers. It is in every request's extensions.
#[derive(Clone, Default)]
pub(crate) struct Standing(pub(crate) Arc<OnceLock<Taken>>);

/// The turn of a batch to be worked at.
pub(crate) enum Turn<'a> {
    /// A large one, which has waited for its turn, and gives way to all others.
    Large { _held: Part, limits: &'a Limits, gives_way_for: Duration },
    /// A small one, whose pieces of work wait for a core each.
    Small(SmallBatch<'a>),
}

/// A small batch that is under way.
pub(crate) struct SmallBatch<'a>(&'a Limits);

impl<'a> SmallBatch<'a> {
    fn begin(limits: &'a Limits) -> Self {
        limits.small_under_way.send_modify(|count| *count += 1);
        Self(limits)
    }
}

impl Drop for SmallBatch<'_> {
    fn drop(&mut self) {
        self.0.small_under_way.send_modify(|count| *count -= 1);
    }
}

impl Turn<'_> {
    /// Does what keeps a core busy where it holds up no other request, on no more cores than there are.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let done = match self {
            Self::Large { limits, .. } => limits.workshop.run(work).await,
            Self::Small(batch) => {
                let _core = batch.0.small_batches.acquire().await;
                tokio::task::spawn_blocking(work).await
            }
        };
        done.map_err(Problem::internal)
    }

    /// Has a large batch let small ones go first, between two of its statements: the database's cores are shared, and there
    /// nobody can be told to give way.
    pub(crate) async fn give_way(&mut self) {
        if let Self::Large { limits, gives_way_for, .. } = self {
            let (began, most) = (Instant::now(), LARGE_GIVES_WAY.min(*gives_way_for));
            let mut under_way = limits.small_under_way.subscribe();
            let _in_time = tokio::time::timeout(most, under_way.wait_for(|count| *count == 0)).await;
            *gives_way_for = gives_way_for.saturating_sub(began.elapsed());
        }
    }
}

impl Limits {
    /// Nobody has asked for anything yet. `patience` is for how long a body may take, and so may wait for its place.
    pub(crate) fn new(
        settings: LimitSettings,
        patience: Duration,
        clock: Clock,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        let LimitSettings { connections, concurrent_requests, body_bytes, cores, .. } = settings;
        let pieces = body_bytes / PIECE;
        Ok(Self {
            rates: Rates::new(settings.redis.clone(), clock, metrics.clone()),
            requests: Semaphore::new(concurrent_requests.clamp(1, Semaphore::MAX_PERMITS)),
            connections: Shares::new(connections, connections / PARTS),
            tenants_requests: Shares::new(concurrent_requests, concurrent_requests / PARTS),
            bodies: Shares::new(pieces, pieces / PARTS),
            large_batches: Shares::new(cores, cores / 2),
            small_batches: Semaphore::new(cores.max(1)),
            look_ups: Semaphore::new(LOOK_UPS),
            small_under_way: watch::Sender::new(0),
            workshop: Workshop::open()?,
            body_patience: patience,
            settings,
            metrics,
        })
    }

    /// Whose request it is.
    pub(crate) const fn trusted_proxies(&self) -> &TrustedProxies {
        &self.settings.trusted_proxies
    }

    /// Keeps the connection to Redis, until the process ends.
    pub(crate) async fn watch(self: Arc<Self>, ended: CancellationToken) {
        self.rates.watch(ended).await;
    }

    /// A place for a connection; none, and it is closed, where there are too many. Behind a trusted proxy are many callers.
    pub(crate) fn connection(&self, peer: IpAddr) -> Option<Part> {
        let peer = ClientAddress::new(peer);
        let holder = (!self.settings.trusted_proxies.contains(peer.ip())).then(|| peer.site());
        let part = self.connections.take_now(holder);
        part.inspect_err(|_| self.count("connections")).ok()
    }

    /// A place among all requests, or the answer that there is none.
    pub(crate) fn place(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.requests.try_acquire().map_err(|_| self.too_busy("requests"))
    }

    /// A place among the tenant's requests.
    pub(crate) async fn tenants_place(&self, tenant: TenantId) -> Result<Part, Problem> {
        let part = self.tenants_requests.take(tenant, 1, Duration::ZERO).await;
        part.map_err(|used_up| self.no_part(used_up, "requests"))
    }

    /// Memory for a body of so many bytes.
    pub(crate) async fn memory(&self, tenant: TenantId, bytes: usize) -> Result<Part, Problem> {
        let part = self.bodies.take(tenant, bytes.div_ceil(PIECE), self.body_patience).await;
        part.map_err(|used_up| self.no_part(used_up, "bodies"))
    }

    /// Gives back what a body has turned out not to need.
    pub(crate) fn shrink(part: &mut Part, bytes: usize) {
        part.shrink(bytes.div_ceil(PIECE));
    }

    /// Waits for a batch's turn to be worked at. A tenant's large ones wait for each other, and for nobody's small ones.
    pub(crate) async fn turn(&self, tenant: TenantId, bytes: usize) -> Result<Turn<'_>, Problem> {
        if bytes < LARGE_BODY {
            return Ok(Turn::Small(SmallBatch::begin(self)));
        }
        let part = self.large_batches.take(tenant, 1, self.body_patience).await;
        part.map(|_held| Turn::Large { _held, limits: self, gives_way_for: LARGE_GIVES_WAY_IN_ALL })
            .map_err(|used_up| self.no_part(used_up, "batches"))
    }

    /// Judges a request whose key is good, by its address and by the key.
    pub(crate) async fn admit(&self, parts: &Parts, key: &ApiKey) -> Result<(), Problem> {
        let per_minute = u32::try_from(key.requests_per_minute).ok().and_then(NonZeroU32::new);
        let by_key = (Subject::Key(key.api_key_id), Rate::per_minute(per_minute.unwrap_or(NonZeroU32::MIN)));
        let by_address = site(parts).zip(self.settings.per_address).map(|(site, rate)| (Subject::Address(site), rate));
        let asked: Vec<_> = by_address.into_iter().chain([by_key]).collect();
        let Some((subject, taken)) = self.rates.take(&asked).await else { return Ok(()) };
        self.judge(parts.extensions.get(), taken, if matches!(subject, Subject::Key(_)) { "key" } else { "address" })
    }

    /// Judges a request of somebody who came in, by their address.
    pub(crate) fn admit_person(&self, parts: &Parts) -> Result<(), Problem> {
        let address = parts.extensions.get::<ClientAddress>();
        let standing = parts.extensions.get::<Standing>();
        address.zip(standing).map_or(Ok(()), |(address, standing)| self.admit_stranger(*address, standing))
    }

    /// Judges a request that needs no key, by its address.
    pub(crate) fn admit_stranger(&self, address: ClientAddress, standing: &Standing) -> Result<(), Problem> {
        let Some(rate) = self.settings.per_address else { return Ok(()) };
        self.judge(Some(standing), self.rates.take_here(Subject::Stranger(address.site()), rate), "address")
    }

    /// Notes that a key was refused, with what is answered: the code, or that it was the last straw.
    pub(crate) fn refuse(&self, parts: &Parts, code: Code) -> Problem {
        self.suspect(parts, Subject::BadKeys).err().unwrap_or_else(|| Problem::of(code))
    }

    /// Has somebody who wants to come in pay as one who is refused, before it costs anything; [`Self::welcome`] gives it back.
    pub(crate) fn knock(&self, parts: &Parts) -> Result<(), Problem> {
        self.suspect(parts, Subject::BadLogins).map(|_| ())
    }

    /// Gives back what a visitor paid who came in.
    pub(crate) fn welcome(&self, address: Option<ClientAddress>) {
        if let Some(address) = address {
            self.rates.give_back_here(Subject::BadLogins(address.site()), self.settings.refused_keys);
        }
    }

    /// Has a request that shows something unknown pay as a refused one, before it costs a look-up. Too many of them from
    /// one address are answered without one.
    pub(crate) async fn may_look_up(&self, parts: &Parts, kind: Suspicion) -> Result<LookUp<'_>, Problem> {
        let paid = self.suspect(parts, kind)?;
        let waiting = tokio::time::timeout(LOOK_UP_PATIENCE, self.look_ups.acquire()).await;
        match waiting {
            Ok(Ok(permit)) => Ok(LookUp { limits: self, paid, _permit: permit }),
            _ => Err(self.too_busy("look_ups")),
        }
    }

    fn suspect(&self, parts: &Parts, kind: Suspicion) -> Result<Option<Subject>, Problem> {
        let Some(subject) = site(parts).map(kind) else { return Ok(None) };
        let taken = self.rates.take_here(subject, self.settings.refused_keys);
        // How one stands with it is said to whoever has used it up.
        if !taken.is_allowed {
            self.judge(parts.extensions.get(), taken, "refused_keys")?;
        }
        Ok(Some(subject))
    }

    fn judge(&self, standing: Option<&Standing>, taken: Taken, layer: &str) -> Result<(), Problem> {
        if let Some(standing) = standing {
            let _was_judged_before = standing.0.set(taken);
        }
        if taken.is_allowed {
            return Ok(());
        }
        self.count(layer);
        Err(Problem::rate_limited(taken.retry_after()))
    }

    fn no_part(&self, used_up: UsedUp, layer: &str) -> Problem {
        if used_up == UsedUp::Everybodys {
            return self.too_busy(layer);
        }
        self.count(&format!("tenants_{layer}"));
        Problem::rate_limited(USUAL_RETRY)
    }

    fn too_busy(&self, layer: &str) -> Problem {
        self.count(layer);
        Problem::too_busy()
    }

    fn count(&self, layer: &str) {
        self.metrics.requests_refused.with_label_values(&[layer]).inc();
    }
}

/// What an address is suspected of.
pub(crate) type Suspicion = fn(IpAddr) -> Subject;

/// Of guessing keys.
pub(crate) const BAD_KEYS: Suspicion = Subject::BadKeys;
/// Of guessing the secrets of webhooks.
pub(crate) const BAD_WEBHOOKS: Suspicion = Subject::BadWebhooks;

/// The right to look something unknown up, paid for.
pub(crate) struct LookUp<'a> {
    limits: &'a Limits,
    paid: Option<Subject>,
    _permit: SemaphorePermit<'a>,
}

impl LookUp<'_> {
    /// What was unknown is good: it costs nothing.
    pub(crate) fn was_good(self) {
        if let Some(subject) = self.paid {
            self.limits.rates.give_back_here(subject, self.limits.settings.refused_keys);
        }
    }
}

fn site(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ClientAddress>().map(|address| address.site())
}

#[cfg(test)]
mod tests;
