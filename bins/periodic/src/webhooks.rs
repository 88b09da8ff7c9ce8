//! Reads stored webhook events. A doorbell wakes the reader; a regular pass finds the events whose doorbell was lost, and
//! those that wait for a later look. Each source has a module that applies its events.

mod evolution;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use regua_broker::Delivery;
use regua_domain::WebhookSource;
use regua_store::transact;
use regua_store::webhook_events;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::report::Reports;

/// Between two passes at rest, in ticks of periodic.
const REGULAR_TICKS: u32 = 30;

/// Between the end of a pass and the doorbell that the reader acknowledges next. Meanwhile no event rings a new one.
const DOORBELL_PAUSE: Duration = Duration::from_millis(100);

/// What one pass did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pass {
    /// Events that were due.
    pub(crate) due: usize,
    /// Events of these that were applied or were too old.
    pub(crate) done: u64,
    /// Whether the pass ended at its bound, so that more events may be due.
    pub(crate) is_full: bool,
}

/// Reads events until `shutdown`.
pub(crate) async fn run(context: Context, mut deliveries: Receiver<Delivery>, shutdown: CancellationToken) {
    let mut reports = Reports::of("webhooks");
    let (mut next_pass, mut next_doorbell) = (Instant::now(), Instant::now());
    loop {
        let is_rung = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = sleep_until(next_pass) => false,
            Some(delivery) = deliveries.recv() => {
                sleep_until(next_doorbell).await;
                acknowledge_all(delivery, &mut deliveries).await;
                true
            }
        };
        let passed = pass(&context).await;
        let pause = match &passed {
            Ok(Pass { is_full: true, .. }) => Duration::ZERO,
            Ok(Pass { due: 0, .. }) if !is_rung => pause_at_rest(&context).await,
            // An event that found a waiting doorbell may be committed after the pass that the doorbell caused.
            Ok(_) | Err(_) => context.settings.every,
        };
        reports.record(passed.map(|pass| pass.done));
        (next_pass, next_doorbell) = (Instant::now() + pause, Instant::now() + DOORBELL_PAUSE);
    }
}

/// Acknowledges before the pass: an event that is stored from now on rings again.
async fn acknowledge_all(first: Delivery, deliveries: &mut Receiver<Delivery>) {
    let mut next = Some(first);
    while let Some(delivery) = next {
        if let Err(error) = delivery.ack().await {
            tracing::debug!(error = format!("{error:#}"), "a doorbell was not acknowledged; it will be redelivered");
        }
        next = deliveries.try_recv().ok();
    }
}

/// One bounded pass over the events of each source that this version reads.
pub(crate) async fn pass(context: &Context) -> anyhow::Result<Pass> {
    let mut all = Pass::default();
    for source in WebhookSource::ALL {
        let of_source = match source {
            WebhookSource::Evolution => evolution::pass(context).await?,
            // The events stay for a later version.
            WebhookSource::Stripe | WebhookSource::Paddle => continue,
        };
        all.due += of_source.due;
        all.done += of_source.done;
        all.is_full |= of_source.is_full;
    }
    Ok(all)
}

/// Until the next stored event is due, but not longer than a regular pass waits.
async fn pause_at_rest(context: &Context) -> Duration {
    let reading = transact(&context.pool, async |conn| webhook_events::next_due(conn, WebhookSource::Evolution).await);
    let next_due = reading.await.unwrap_or_default();
    pause_until(next_due, context.clock.now(), context.settings.every)
}

fn pause_until(next_due: Option<DateTime<Utc>>, now: DateTime<Utc>, tick: Duration) -> Duration {
    let regular = tick * REGULAR_TICKS;
    let until_due = next_due.map(|due| (due - now).max(TimeDelta::zero()).to_std().unwrap_or_default());
    until_due.map_or(regular, |until_due| until_due.clamp(tick, regular))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_at_rest_waits_for_the_next_event_and_thirty_ticks_at_most() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let tick = Duration::from_secs(1);
        let cases = [(None, 30), (Some(-5), 1), (Some(0), 1), (Some(12), 12), (Some(3600), 30)];
        for (due_in, pause) in cases {
            let next_due = due_in.map(|seconds| now + TimeDelta::seconds(seconds));
            assert_eq!(pause_until(next_due, now, tick), Duration::from_secs(pause), "{due_in:?}");
        }
    }
}
