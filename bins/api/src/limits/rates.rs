//! Rate limits by API key and by address. With Redis all processes count the requests of valid keys together;
//! otherwise, and while Redis is away, each process counts its own at the same rates.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use axum::http::request::Parts;
use ipnetwork::IpNetwork;
use regua_boot::Clock;
use regua_domain::{Rate, RateCheck, UserId};
use regua_store::api_keys::ApiKey;
use tokio_util::sync::CancellationToken;

use crate::metrics::ApiMetrics;

use super::client_address::{ClientAddress, TrustedProxies};
use super::local::LocalCounts;
use super::redis::RedisCounts;
use super::refused::{Refusals, Refused};
use super::settings::LimitSettings;
use super::subject::Subject;

/// Failed logins from the devices on which a user logged in before: five at once, then one a minute.
const FAILURES_OF_DEVICES: Rate = Rate::with_burst(NonZeroU32::MIN, NonZeroU32::MIN.saturating_add(4));

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

/// A failure that was charged before the credential was checked.
pub(crate) struct Charge<'a> {
    rates: &'a RateLimits,
    counts: Vec<(Subject, Rate)>,
}

impl Charge<'_> {
    /// Gives the charge back, because the credential is valid.
    pub(crate) fn refund(self) {
        for (subject, rate) in self.counts {
            self.rates.local.refund(subject, rate);
        }
    }
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

    /// Checks a request with a valid session against the rate of its address, in which keys count too. Requests
    /// without a valid credential have a count of their own, so those of a neighbour behind the same NAT refuse no user.
    pub(crate) async fn admit_session(&self, parts: &Parts) -> Result<(), Refused> {
        let Some(by_address) = site(parts).zip(self.per_address) else { return Ok(()) };
        let Some((_, check)) = self.check(&[(Subject::Address(by_address.0), by_address.1)]).await else {
            return Ok(());
        };
        self.conclude(parts.extensions.get(), check, "address")
    }

    /// Checks a request without a valid credential against the rate of its address.
    pub(crate) fn admit_stranger(&self, parts: &Parts) -> Result<(), Refused> {
        let address = parts.extensions.get::<ClientAddress>();
        let status = parts.extensions.get::<RateStatus>();
        address.zip(status).map_or(Ok(()), |(address, status)| self.admit_address(*address, status))
    }

    /// Checks a request without a valid credential against the rate of its address.
    pub(crate) fn admit_address(&self, address: ClientAddress, status: &RateStatus) -> Result<(), Refused> {
        let Some(rate) = self.per_address else { return Ok(()) };
        let check = self.local.check(Subject::Anonymous(address.site()), rate, self.now());
        self.conclude(Some(status), check, "address")
    }

    /// Charges the address of a request whose key or session is refused.
    pub(crate) fn charge_refused(&self, parts: &Parts) -> Result<(), Refused> {
        self.charge(parts.extensions.get(), parts.extensions.get(), Subject::BadKeys).map(|_| ())
    }

    /// Charges a failure to the failure budgets of a client's networks before the credential is checked;
    /// [`Charge::refund`] gives it back.
    pub(crate) fn charge(
        &self,
        client: Option<&ClientAddress>,
        status: Option<&RateStatus>,
        failure: fn(IpNetwork) -> Subject,
    ) -> Result<Charge<'_>, Refused> {
        let networks = client.map(|client| client.failure_networks()).unwrap_or_default();
        let counts = networks.into_iter().map(|(network, factor)| (failure(network), self.failures.times(factor)));
        self.charge_all(counts, status)
    }

    /// As [`Self::charge`], for a login from a device on which the user logged in before: whatever others do at its
    /// address does not count.
    pub(crate) fn charge_device(&self, user: UserId, status: Option<&RateStatus>) -> Result<Charge<'_>, Refused> {
        self.charge_all([(Subject::BadLoginsOfDevices(user), FAILURES_OF_DEVICES)], status)
    }

    /// Charges all subjects, or none when one of them has used its budget up. Failures are counted by each process: a
    /// request that will be refused is not worth a round trip to Redis.
    fn charge_all(
        &self,
        counts: impl IntoIterator<Item = (Subject, Rate)>,
        status: Option<&RateStatus>,
    ) -> Result<Charge<'_>, Refused> {
        let mut charge = Charge { rates: self, counts: Vec::new() };
        for (subject, rate) in counts {
            let check = self.local.check(subject, rate, self.now());
            // Only a caller that has used the budget up sees its state in the headers.
            if !check.is_allowed
                && let Err(refused) = self.conclude(status, check, "refused_keys")
            {
                charge.refund();
                return Err(refused);
            }
            charge.counts.push((subject, rate));
        }
        Ok(charge)
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

#[cfg(test)]
mod tests {
    use regua_boot::ManualClock;

    use super::*;

    #[test]
    fn refunded_charge_leaves_the_budgets_of_all_networks_as_they_were() {
        let (_, clock) = ManualClock::starting_at("2026-11-23T13:00:00Z".parse().unwrap());
        let metrics = ApiMetrics::new(&regua_boot::Registry::default()).unwrap();
        let settings = LimitSettings {
            refused_keys: Rate::with_burst(NonZeroU32::MIN, NonZeroU32::MIN),
            ..LimitSettings::default()
        };
        let rates = RateLimits::new(&settings, clock, metrics.clone(), Refusals::new(metrics));
        let charge = |site: u16| {
            let client = ClientAddress::new(format!("2001:db8:0:{site:x}::1").parse().unwrap());
            rates.charge(Some(&client), None, Subject::BadLogins)
        };
        for site in 0..100 {
            charge(site).ok().unwrap().refund();
        }
        let _charged: Vec<_> = (0..4).map(|site| charge(site).ok().unwrap()).collect();
        assert!(charge(0).is_err() && charge(4).is_err(), "the budgets of a /64 and of its /56 are used up");
        assert!(charge(0x100).is_ok(), "another /56");
    }
}
