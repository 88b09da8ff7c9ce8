//! Rates that all API processes keep together, in Redis. Where Redis is away or slow nobody waits for it: the caller is
//! told so, judges by itself, and a watch tries every second whether Redis is there again.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo};
use regua_boot::Metrics;
use regua_domain::{Rate, Taken};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Subject;

const SCRIPT: &str = include_str!("gcra.lua");
/// How long Redis may take for an answer. Every request waits for one.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long a connection may take to be made; no request waits for that.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);
/// Between two tries while it is away.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// Where Redis is. What is printed of it holds no password.
#[derive(Clone)]
pub struct RedisAddress(Client);

impl FromStr for RedisAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The cause may quote the address, and with it the password.
        let told = "it cannot be read: write redis://:password@host:port/0, or rediss://… for TLS";
        let info = text.into_connection_info().map_err(|_| told)?;
        Client::open(info).map(Self).map_err(|_| told)
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({})", self.0.get_connection_info().addr())
    }
}

/// Redis, or nothing while it is away.
pub(super) struct Shared {
    client: Client,
    connection: Mutex<Option<MultiplexedConnection>>,
    is_lost: Notify,
    metrics: Metrics,
}

impl Shared {
    /// Not connected yet: the first try is the watch's.
    pub(super) fn new(address: RedisAddress, metrics: Metrics) -> Self {
        metrics.rate_limiter_degraded.set(1);
        Self { client: address.0, connection: Mutex::default(), is_lost: Notify::new(), metrics }
    }

    /// Judges one request by several rates; none while Redis is away. All are asked in one go, so a caller who is refused
    /// by one has paid by the others.
    pub(super) async fn take(&self, asked: &[(Subject, Rate)]) -> Option<Vec<Taken>> {
        let mut connection = self.current()?;
        let mut questions = redis::pipe();
        for (subject, rate) in asked {
            questions.cmd("EVAL").arg(SCRIPT).arg(1).arg(subject.to_string());
            questions.arg(rate.interval()).arg(rate.burst());
        }
        let answering = questions.query_async::<Vec<(bool, i64, i64)>>(&mut connection);
        let error = match tokio::time::timeout(PATIENCE, answering).await {
            Ok(Ok(answers)) if answers.len() == asked.len() => {
                let judged = answers
                    .into_iter()
                    .zip(asked)
                    .map(|((is_allowed, paid_until, now), (_, rate))| rate.judged(is_allowed, paid_until, now));
                return Some(judged.collect());
            }
            Ok(Ok(_)) => "it answers something else".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} ms", PATIENCE.as_millis()),
        };
        self.lose(&error);
        None
    }

    /// Connects, and connects again whenever Redis was lost, until the process ends.
    pub(super) async fn watch(&self, ended: CancellationToken) {
        let watching = async {
            let mut is_first = true;
            loop {
                while let Err(error) = self.connect().await {
                    if is_first {
                        tracing::warn!(%error, "Redis is away: this process limits rates by itself");
                        is_first = false;
                    }
                    tokio::time::sleep(TRY_EVERY).await;
                }
                is_first = false;
                self.metrics.rate_limiter_degraded.set(0);
                tracing::info!("Redis is there: all processes limit rates together");
                self.is_lost.notified().await;
            }
        };
        tokio::select! {
            () = watching => {}
            () = ended.cancelled() => {}
        }
    }

    /// A connection counts once the script has answered on it in time.
    async fn connect(&self) -> anyhow::Result<()> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTED_WITHIN))
            .set_response_timeout(Some(CONNECTED_WITHIN));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = tokio::time::timeout(2 * CONNECTED_WITHIN, connecting).await??;
        let mut question = redis::cmd("EVAL");
        question.arg(SCRIPT).arg(1).arg("regua:limit:watch").arg(1).arg(1);
        tokio::time::timeout(PATIENCE, question.query_async::<(bool, i64, i64)>(&mut connection)).await??;
        *self.lock() = Some(connection);
        Ok(())
    }

    fn current(&self) -> Option<MultiplexedConnection> {
        self.lock().clone()
    }

    /// Many requests see it at once, and one says so.
    fn lose(&self, error: &str) {
        if self.lock().take().is_some() {
            self.metrics.rate_limiter_degraded.set(1);
            tracing::warn!(error, "Redis is away: this process limits rates by itself");
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
    fn an_address_is_shown_without_its_password() {
        let address: RedisAddress = "redis://user:sesame@127.0.0.1:6390/3".parse().unwrap();
        assert_eq!(format!("{address:?}"), "RedisAddress(127.0.0.1:6390)");
        let refused = "http://user:sesame@127.0.0.1".parse::<RedisAddress>().unwrap_err();
        assert!(!refused.contains("sesame"));
    }
}
