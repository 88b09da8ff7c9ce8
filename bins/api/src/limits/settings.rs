//! The settings of the limits, and their defaults.

use std::num::NonZeroU32;
use std::time::Duration;

use regua_domain::Rate;

use super::client_address::TrustedProxies;
use super::event_amount::EventAmount;
use super::redis::RedisAddress;

/// The limits of an API process.
#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: TrustedProxies,
    /// The Redis in which all processes count requests together; none: each process counts its own.
    pub redis: Option<RedisAddress>,
    /// Requests of one address with valid keys; none: no limit.
    pub per_address: Option<Rate>,
    /// The failure budget of one address: refused keys, webhook secrets and logins, each counted apart.
    pub refused_keys: Rate,
    /// Changes a minute of one user or API key, half of them at once. All of a tenant may make twice as many.
    pub changes_per_minute: NonZeroU32,
    /// How long the result of a look-up is trusted.
    pub key_cached_for: Duration,
    /// Connections at once, above which an idle one is closed for a new one. One address may have a quarter of them,
    /// unless it is a trusted proxy.
    pub connections: usize,
    /// Requests under way at once. One tenant may have a quarter of them, and so may all callers without a valid
    /// credential together. Half of them may be receiving their bodies.
    pub concurrent_requests: usize,
    /// Bytes of request bodies in memory. One tenant may have a quarter of them.
    pub body_bytes: usize,
    /// Bytes of large answers that are being written. One tenant may have a quarter of them.
    pub answer_bytes: usize,
    /// Large batches that are processed at once. One tenant may have half of them, and as many small ones.
    pub cores: usize,
    /// CPU time of composing a batch, in addition to two milliseconds for each contact.
    pub composing_time: Duration,
    /// Password checks that wait or run. Half of them is for known clients, and one address may have a quarter of a
    /// half. A check takes 30 to 50 ms of a core and one core is left free, so with 16 for each of the other cores a
    /// check waits 0.8 seconds at most.
    pub password_checks: usize,
    /// Webhook events of one number that wait for their reader.
    pub events_of_number: EventAmount,
    /// Webhook events of all numbers of a tenant that wait for their reader.
    pub events_of_tenant: EventAmount,
    /// How long a connection may be idle before its first request with a valid key, session or webhook secret, the head
    /// of that request included. Idle connections cost a stranger nothing; a program sends its request at once.
    pub idle_before_credential: Duration,
    /// How long a connection may be idle after such a request, or from a trusted proxy, including the head of the next
    /// request. Load balancers usually close theirs after 60 seconds.
    pub idle: Duration,
    /// How long a client may read nothing of an answer.
    pub unread: Duration,
}

impl Default for LimitSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let rate = |per_minute| NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        Self {
            trusted_proxies: TrustedProxies::default(),
            redis: None,
            per_address: Some(Rate::per_minute(rate(6000))),
            refused_keys: Rate::with_burst(rate(60), rate(30)),
            changes_per_minute: rate(60),
            key_cached_for: Duration::from_secs(2),
            connections: 4096,
            concurrent_requests: 512,
            body_bytes: 256 << 20,
            answer_bytes: 64 << 20,
            cores,
            password_checks: 16 * cores.saturating_sub(1).max(1),
            composing_time: Duration::from_secs(1),
            events_of_number: EventAmount { events: 20_000, bytes: 64 << 20 },
            events_of_tenant: EventAmount { events: 100_000, bytes: 256 << 20 },
            idle_before_credential: Duration::from_secs(5),
            idle: Duration::from_secs(75),
            unread: Duration::from_secs(30),
        }
    }
}
