//! Many requests: evenly over a time, or as many at once as allowed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The number of answers with each status; none: the connection ended without an answer.
#[derive(Default)]
pub(super) struct Answers(BTreeMap<Option<u16>, usize>);

impl Answers {
    pub(super) fn add(&mut self, status: Option<u16>) {
        *self.0.entry(status).or_default() += 1;
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answers", self.0.values().sum::<usize>())?;
        for (status, count) in &self.0 {
            match status {
                Some(status) => write!(f, ", {status} × {count}")?,
                None => write!(f, ", none × {count}")?,
            }
        }
        Ok(())
    }
}

/// How requests are made.
pub(super) struct Load {
    pub(super) count: usize,
    pub(super) at_once: usize,
    /// The requests begin evenly over this time.
    pub(super) over: Duration,
    /// After this time no request begins, and those under way are given up.
    pub(super) at_most: Duration,
}

impl Load {
    pub(super) async fn run<F>(self, request: impl Fn(usize) -> F) -> Answers
    where
        F: Future<Output = Option<u16>> + Send + 'static,
    {
        let (begun, mut running, mut answers) = (Instant::now(), JoinSet::new(), Answers::default());
        let end = begun + self.at_most;
        for n in 0..self.count {
            sleep_until(begun + self.over.mul_f64(n as f64 / self.count as f64)).await;
            while let Some(ended) = running.try_join_next() {
                answers.add(ended.unwrap());
            }
            if running.len() >= self.at_once
                && let Ok(Some(ended)) = timeout_at(end, running.join_next()).await
            {
                answers.add(ended.unwrap());
            }
            if Instant::now() >= end {
                break;
            }
            running.spawn(request(n));
        }
        while let Ok(Some(ended)) = timeout_at(end, running.join_next()).await {
            answers.add(ended.unwrap());
        }
        for _ in 0..running.len() {
            answers.add(None);
        }
        answers
    }
}
