//! Watches queues until they are final: with a progress bar on a terminal, otherwise with lines.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use regua_domain::{QueueId, QueueStatus as Status};
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::client::answers::QueueStatus;
use crate::output;

const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Between two lines, unless a status changes.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows the progress until all queues are final or the timeout is over; returns their last statuses.
pub(crate) async fn watch_until_final(
    client: &Client,
    queues: &[QueueId],
    timeout: Option<Duration>,
) -> anyhow::Result<Vec<QueueStatus>> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut display = Display::new();
    loop {
        let mut statuses = Vec::with_capacity(queues.len());
        for queue in queues {
            statuses.push(super::status(client, *queue).await?.answer);
        }
        let is_over = statuses.iter().all(|queue| queue.status.is_final());
        display.show(&statuses, is_over);
        if is_over || deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Ok(statuses);
        }
        sleep(POLL_INTERVAL).await;
    }
}

enum Display {
    Bar(ProgressBar),
    Lines { last: Option<(Instant, Vec<Status>)> },
}

impl Display {
    fn new() -> Self {
        if !stderr().is_terminal() {
            return Self::Lines { last: None };
        }
        let style = ProgressStyle::with_template("{bar:32} {pos}/{len} {wide_msg}");
        Self::Bar(ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    fn show(&mut self, queues: &[QueueStatus], is_over: bool) {
        let total: u64 = queues.iter().map(|queue| queue.total).sum();
        let finished: u64 = queues.iter().map(QueueStatus::finished).sum();
        match self {
            Self::Bar(bar) => {
                bar.set_length(total);
                bar.set_message(summary(queues));
                bar.set_position(finished);
                if is_over {
                    bar.finish();
                }
            }
            Self::Lines { last } => {
                let states: Vec<_> = queues.iter().map(|queue| queue.status).collect();
                let is_due = last.as_ref().is_none_or(|(at, before)| at.elapsed() > LINE_INTERVAL || *before != states);
                if is_due || is_over {
                    output::remark(format_args!("{finished}/{total} {}", summary(queues)));
                    *last = Some((Instant::now(), states));
                }
            }
        }
    }
}

type Count = fn(&QueueStatus) -> u64;

/// The counts, and the status of the first queue that is not final.
fn summary(queues: &[QueueStatus]) -> String {
    let sum = |of: Count| queues.iter().map(of).sum::<u64>();
    let mut parts = vec![format!("sent {}", sum(|queue| queue.sent))];
    let others: [(&str, Count); 4] = [
        ("failed", |queue| queue.failed),
        ("unconfirmed", |queue| queue.unconfirmed),
        ("skipped", |queue| queue.skipped),
        ("cancelled", |queue| queue.cancelled),
    ];
    parts.extend(others.iter().filter(|(_, of)| sum(*of) > 0).map(|(name, of)| format!("{name} {}", sum(*of))));
    parts.push(format!("pending {}", sum(|queue| queue.pending + queue.sending)));
    let open = queues.iter().find(|queue| !queue.status.is_final()).or(queues.last());
    parts.extend(open.map(describe_status));
    parts.join(" · ")
}

/// The status, with the reason and the time of resumption if the queue has them.
pub(super) fn describe_status(queue: &QueueStatus) -> String {
    let mut text = output::with_reason(queue.status, queue.reason.as_deref());
    if let Some(at) = queue.resume_at {
        text += &format!(", goes on at {}", output::whole_second(at));
    }
    text
}
