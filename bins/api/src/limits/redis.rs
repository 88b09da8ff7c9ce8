//! Request counts in Redis, which all API processes share. No request waits for a Redis that is away or slow: the check
//! returns nothing, and the caller counts locally until `watch` has reconnected.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo};
use regua_domain::{Rate, RateCheck};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::metrics::ApiMetrics;

use super::subject::Subject;

const SCRIPT: &str = include_str!("gcra.lua");
/// How long Redis may take for an answer. Every request with a key waits for one.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long connecting may take; no request waits for that.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Time between two attempts to connect.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// The address of Redis. `Debug` shows no password.
#[derive(Clone)]
pub struct RedisAddress(Client);

impl FromStr for RedisAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The cause is left out: it may quote the address with its password.
        let message = "the address is invalid: write redis://:password@host:port/0, or rediss://… for TLS";
        let info = text.into_connection_info().map_err(|_| message)?;
        Client::open(info).map(Self).map_err(|_| message)
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({})", self.0.get_connection_info().addr())
    }
}

pub(super) struct RedisCounts {
    client: Client,
    /// None while Redis is away.
    connection: Mutex<Option<MultiplexedConnection>>,
    is_lost: Notify,
    metrics: ApiMetrics,
}

impl RedisCounts {
    /// Not connected: `watch` connects.
    pub(super) fn new(address: RedisAddress, metrics: ApiMetrics) -> Self {
        metrics.rate_limiter_degraded.set(1);
        Self { client: address.0, connection: Mutex::default(), is_lost: Notify::new(), metrics }
    }

    /// Checks one request against several rates; none while Redis is away. The checks are one round trip, so a request
    /// that is refused by one rate is charged to the others.
    pub(super) async fn check(&self, checks: &[(Subject, Rate)]) -> Option<Vec<RateCheck>> {
        let mut connection = self.lock().clone()?;
        let mut pipeline = redis::pipe();
        for (subject, rate) in checks {
            pipeline.cmd("EVAL").arg(SCRIPT).arg(1).arg(subject.to_string()).arg(rate.interval()).arg(rate.burst());
        }
        let query = pipeline.query_async::<Vec<(bool, i64, i64)>>(&mut connection);
        let error = match tokio::time::timeout(PATIENCE, query).await {
            Ok(Ok(answers)) if answers.len() == checks.len() => {
                let results = answers.into_iter().zip(checks);
                let results = results
                    .map(|((is_allowed, paid_until, now), (_, rate))| rate.remote_check(is_allowed, paid_until, now));
                return Some(results.collect());
            }
            Ok(Ok(_)) => "the answer has another form".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} ms", PATIENCE.as_millis()),
        };
        self.lose(&error);
        None
    }

    /// Connects, and reconnects whenever Redis is lost, until the process ends.
    pub(super) async fn watch(&self, ended: CancellationToken) {
        let watching = async {
            let mut is_first = true;
            loop {
                while let Err(error) = self.connect().await {
                    if is_first {
                        tracing::warn!(%error, "Redis is away: this process counts requests by itself");
                        is_first = false;
                    }
                    tokio::time::sleep(RETRY_EVERY).await;
                }
                is_first = false;
                self.metrics.rate_limiter_degraded.set(0);
                tracing::info!("Redis is connected: all processes count requests together");
                self.is_lost.notified().await;
            }
        };
        tokio::select! {
            () = watching => {}
            () = ended.cancelled() => {}
        }
    }

    /// Connects, and uses the connection once the script has answered on it in time.
    async fn connect(&self) -> anyhow::Result<()> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(CONNECT_TIMEOUT));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = tokio::time::timeout(2 * CONNECT_TIMEOUT, connecting).await??;
        let mut probe = redis::cmd("EVAL");
        probe.arg(SCRIPT).arg(1).arg("regua:limit:watch").arg(1).arg(1);
        tokio::time::timeout(PATIENCE, probe.query_async::<(bool, i64, i64)>(&mut connection)).await??;
        *self.lock() = Some(connection);
        Ok(())
    }

    /// Drops the connection. Of the requests that fail together, one logs it.
    fn lose(&self, error: &str) {
        if self.lock().take().is_some() {
            self.metrics.rate_limiter_degraded.set(1);
            tracing::warn!(error, "Redis is away: this process counts requests by itself");
            self.is_lost.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_address_is_shown_without_its_password() {
        let address: RedisAddress = "redis://user:sesame@127.0.0.1:6390/3".parse().unwrap();
        assert_eq!(format!("{address:?}"), "RedisAddress(127.0.0.1:6390)");
        let refused = "http://user:sesame@127.0.0.1".parse::<RedisAddress>().unwrap_err();
        assert!(!refused.contains("sesame"));
    }
}
