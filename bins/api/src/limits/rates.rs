//! Rate limits by API key and by address. With Redis all processes count the requests of valid keys together;
//! otherwise, and while Redis is away, each process counts its own at the same rates.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use axum::http::request::Parts;
use regua_boot::Clock;
use regua_domain::{Rate, RateCheck};
use regua_store::api_keys::ApiKey;
use tokio_util::sync::CancellationToken;

use crate::metrics::ApiMetrics;

use super::client_address::{ClientAddress, TrustedProxies};
use super::local::LocalCounts;
use super::redis::RedisCounts;
use super::refused::{Refusals, Refused};
use super::settings::LimitSettings;
use super::subject::Subject;

/// Rate-limit state of the caller, for the `RateLimit-*` headers. Every request has one in its extensions.
#[derive(Clone, Default)]
pub(crate) struct RateStatus(pub(crate) Arc<OnceLock<RateCheck>>);

/// The rate limits of a process.
pub(crate) struct RateLimits {
    redis: Option<RedisCounts>,
    local: LocalCounts,
    clock: Clock,
    trusted_proxies: TrustedProxies,
    per_address: Option<Rate>,
    failures: Rate,
    refusals: Refusals,
}

impl RateLimits {
    pub(super) fn new(settings: &LimitSettings, clock: Clock, metrics: ApiMetrics, refusals: Refusals) -> Self {
        Self {
            redis: settings.redis.clone().map(|address| RedisCounts::new(address, metrics)),
            local: LocalCounts::default(),
            clock,
            trusted_proxies: settings.trusted_proxies.clone(),
            per_address: settings.per_address,
            failures: settings.refused_keys,
            refusals,
        }
    }

    pub(crate) const fn trusted_proxies(&self) -> &TrustedProxies {
        &self.trusted_proxies
    }

    /// Keeps the connection to Redis open until the process ends.
    pub(crate) async fn watch(self: Arc<Self>, ended: CancellationToken) {
        if let Some(redis) = &self.redis {
            redis.watch(ended).await;
        }
    }

    /// Checks a request with a valid key against the rates of its address and of the key.
    pub(crate) async fn admit_key(&self, parts: &Parts, key: &ApiKey) -> Result<(), Refused> {
        let per_minute = u32::try_from(key.requests_per_minute).ok().and_then(NonZeroU32::new);
        let by_key = (Subject::Key(key.api_key_id), Rate::per_minute(per_minute.unwrap_or(NonZeroU32::MIN)));
        let by_address = site(parts).zip(self.per_address).map(|(site, rate)| (Subject::Address(site), rate));
        let checks: Vec<_> = by_address.into_iter().chain([by_key]).collect();
        let Some((subject, check)) = self.check(&checks).await else { return Ok(()) };
        self.conclude(parts.extensions.get(), check, if matches!(subject, Subject::Key(_)) { "key" } else { "address" })
    }

    /// Checks a request with a session against the rate of its address.
    pub(crate) fn admit_user(&self, parts: &Parts) -> Result<(), Refused> {
        let address = parts.extensions.get::<ClientAddress>();
        let status = parts.extensions.get::<RateStatus>();
        address.zip(status).map_or(Ok(()), |(address, status)| self.admit_address(*address, status))
    }

    /// Checks a request without a key against the rate of its address.
    pub(crate) fn admit_address(&self, address: ClientAddress, status: &RateStatus) -> Result<(), Refused> {
        let Some(rate) = self.per_address else { return Ok(()) };
        let check = self.local.check(Subject::Anonymous(address.site()), rate, self.now());
        self.conclude(Some(status), check, "address")
    }

    /// Charges the address of a request whose key or session is refused.
    pub(crate) fn charge_refused(&self, parts: &Parts) -> Result<(), Refused> {
        self.charge(parts, Subject::BadKeys).map(|_| ())
    }

    /// Charges a login attempt to the failure budget of its address before the password is checked;
    /// [`Self::refund_login`] gives it back on success.
    pub(crate) fn charge_login(&self, parts: &Parts) -> Result<(), Refused> {
        self.charge(parts, Subject::BadLogins).map(|_| ())
    }

    pub(crate) fn refund_login(&self, address: Option<ClientAddress>) {
        if let Some(address) = address {
            self.refund(Subject::BadLogins(address.site()));
        }
    }

    /// Charges a failure to the budget of a request's address, and returns the charged subject. Failures are counted by
    /// each process: a request that will be refused is not worth a round trip to Redis.
    pub(super) fn charge(&self, parts: &Parts, failure: fn(IpAddr) -> Subject) -> Result<Option<Subject>, Refused> {
        let Some(subject) = site(parts).map(failure) else { return Ok(None) };
        let check = self.local.check(subject, self.failures, self.now());
        // Only a caller that has used the budget up sees its state in the headers.
        if !check.is_allowed {
            self.conclude(parts.extensions.get(), check, "refused_keys")?;
        }
        Ok(Some(subject))
    }

    /// Gives a charge back.
    pub(super) fn refund(&self, subject: Subject) {
        self.local.refund(subject, self.failures);
    }

    /// Checks one request against several rates. The result is the first refusal, otherwise the check of the last rate.
    /// The counts of Redis are stored locally too, so this process continues from them when Redis is lost.
    async fn check(&self, checks: &[(Subject, Rate)]) -> Option<(Subject, RateCheck)> {
        let remote = match &self.redis {
            Some(redis) => redis.check(checks).await,
            None => None,
        };
        let now = self.now();
        let mut last = None;
        for (index, (subject, rate)) in checks.iter().enumerate() {
            let check = match remote.as_ref().and_then(|remote| remote.get(index)) {
                Some(check) => {
                    self.local.store(*subject, now + check.paid_ahead(), now);
                    *check
                }
                None => self.local.check(*subject, *rate, now),
            };
            last = Some((*subject, check));
            if !check.is_allowed {
                break;
            }
        }
        last
    }

    /// Publishes a check for the headers, and refuses the request if the check does.
    fn conclude(&self, status: Option<&RateStatus>, check: RateCheck, layer: &str) -> Result<(), Refused> {
        if let Some(status) = status {
            let _is_first = status.0.set(check);
        }
        if check.is_allowed { Ok(()) } else { Err(self.refusals.rate_limited(layer, check.retry_after())) }
    }

    fn now(&self) -> i64 {
        self.clock.now().timestamp_micros()
    }
}

fn site(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ClientAddress>().map(|address| address.site())
}
