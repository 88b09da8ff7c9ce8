//! Who has asked how often: together with the other processes where Redis is there, and otherwise by this one alone, at the
//! same rates.

use std::fmt;
use std::net::IpAddr;

use regua_boot::{Clock, Metrics};
use regua_domain::{ApiKeyId, Rate, Taken};
use tokio_util::sync::CancellationToken;

use super::local::Local;
use super::shared::{RedisAddress, Shared};

/// Whose requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// Those with one API key.
    Key(ApiKeyId),
    /// Those of one address with whatever good keys.
    Address(IpAddr),
    /// Those of one address that need no key.
    Stranger(IpAddr),
    /// Those of one address whose key is refused.
    BadKeys(IpAddr),
    /// Webhooks of one address whose secret is refused.
    BadWebhooks(IpAddr),
    /// Visitors from one address who do not come in.
    BadLogins(IpAddr),
}

impl fmt::Display for Subject {
    /// Its name in Redis, where other things may live beside it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "regua:limit:key:{key}"),
            Self::Address(address) => write!(f, "regua:limit:address:{address}"),
            Self::Stranger(address) => write!(f, "regua:limit:stranger:{address}"),
            Self::BadKeys(address) => write!(f, "regua:limit:bad-keys:{address}"),
            Self::BadWebhooks(address) => write!(f, "regua:limit:bad-webhooks:{address}"),
            Self::BadLogins(address) => write!(f, "regua:limit:bad-logins:{address}"),
        }
    }
}

/// Judges requests.
pub(super) struct Rates {
    shared: Option<Shared>,
    local: Local,
    clock: Clock,
}

impl Rates {
    /// Without Redis, each process for itself.
    pub(super) fn new(redis: Option<RedisAddress>, clock: Clock, metrics: Metrics) -> Self {
        Self { shared: redis.map(|address| Shared::new(address, metrics)), local: Local::default(), clock }
    }

    /// Judges one request by several rates. One that a rate refuses is answered with that one's judgement, and otherwise
    /// with the last rate's. What Redis says is noted, so that this process goes on from there when Redis is lost.
    pub(super) async fn take(&self, asked: &[(Subject, Rate)]) -> Option<(Subject, Taken)> {
        let judged = match &self.shared {
            Some(shared) => shared.take(asked).await,
            None => None,
        };
        let now = self.now();
        let mut last = None;
        for (place, (subject, rate)) in asked.iter().enumerate() {
            let taken = match judged.as_ref().and_then(|judged| judged.get(place)) {
                Some(taken) => {
                    self.local.note(*subject, now + taken.paid_ahead(), now);
                    *taken
                }
                None => self.local.take(*subject, *rate, now),
            };
            last = Some((*subject, taken));
            if !taken.is_allowed {
                break;
            }
        }
        last
    }

    /// Judges a request by a rate that this process keeps for itself: what is refused anyway is worth no journey to Redis.
    pub(super) fn take_here(&self, subject: Subject, rate: Rate) -> Taken {
        self.local.take(subject, rate, self.now())
    }

    /// Gives back what `take_here` has taken.
    pub(super) fn give_back_here(&self, subject: Subject, rate: Rate) {
        self.local.give_back(subject, rate);
    }

    /// Keeps the connection to Redis, until the process ends.
    pub(super) async fn watch(&self, ended: CancellationToken) {
        if let Some(shared) = &self.shared {
            shared.watch(ended).await;
        }
    }

    fn now(&self) -> i64 {
        self.clock.now().timestamp_micros()
    }
}
