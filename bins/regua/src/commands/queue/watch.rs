//! Watches queues until they are final: with a progress bar on a terminal, otherwise with lines.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use regua_domain::{QueueId, QueueStatus as Status};
use regua_store::queues::Queue;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::output;

const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Between two lines, unless a status changes.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows the progress until all queues are final or the timeout is over; returns their last statuses.
pub(crate) async fn watch_until_final(
    client: &Client,
    queues: &[QueueId],
    timeout: Option<Duration>,
) -> anyhow::Result<Vec<Queue>> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut display = Display::new();
    loop {
        let mut statuses = Vec::with_capacity(queues.len());
        for queue in queues {
            statuses.push(super::status(client, *queue).await?);
        }
        let is_over = statuses.iter().all(|queue| queue.status.is_final());
        display.show(&statuses, is_over);
        if is_over || deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Ok(statuses);
        }
        sleep(POLL_INTERVAL).await;
    }
}

struct Display {
    /// Hidden where standard error is no terminal.
    bar: ProgressBar,
    /// The time and the states of the last line.
    last: Option<(Instant, Vec<Status>)>,
}

impl Display {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{bar:32} {pos}/{len} {wide_msg}");
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, last: None }
    }

    fn show(&mut self, queues: &[Queue], is_over: bool) {
        let total = sum(queues, |queue| queue.total);
        let finished = total - sum(queues, |queue| queue.pending + queue.sending);
        if !self.bar.is_hidden() {
            self.bar.set_length(total);
            self.bar.set_message(summary(queues));
            self.bar.set_position(finished);
            if is_over {
                self.bar.finish();
            }
            return;
        }
        let states: Vec<_> = queues.iter().map(|queue| queue.status).collect();
        let is_due = self.last.as_ref().is_none_or(|(at, before)| at.elapsed() > LINE_INTERVAL || *before != states);
        if is_due || is_over {
            output::remark(format_args!("{finished}/{total} {}", summary(queues)));
            self.last = Some((Instant::now(), states));
        }
    }
}

type Count = fn(&Queue) -> i32;

fn sum(queues: &[Queue], of: Count) -> u64 {
    queues.iter().map(|queue| u64::from(of(queue).unsigned_abs())).sum()
}

/// The counts, and the status of the first queue that is not final.
fn summary(queues: &[Queue]) -> String {
    let mut parts = vec![format!("sent {}", sum(queues, |queue| queue.sent))];
    let others: [(&str, Count); 4] = [
        ("failed", |queue| queue.failed),
        ("unconfirmed", |queue| queue.unconfirmed),
        ("skipped", |queue| queue.skipped),
        ("cancelled", |queue| queue.cancelled),
    ];
    let counts = others.into_iter().map(|(name, of)| (name, sum(queues, of)));
    parts.extend(counts.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")));
    parts.push(format!("pending {}", sum(queues, |queue| queue.pending + queue.sending)));
    let open = queues.iter().find(|queue| !queue.status.is_final()).or(queues.last());
    parts.extend(open.map(describe_status));
    parts.join(" · ")
}

/// The status, with the reason and the time of resumption if the queue has them.
pub(super) fn describe_status(queue: &Queue) -> String {
    let mut text = output::with_reason(queue.status, queue.reason.as_deref());
    if let Some(at) = queue.resume_at {
        text += &format!(", goes on at {}", output::whole_second(at));
    }
    text
}
