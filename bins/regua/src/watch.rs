//! Watching queues until nothing is left to be sent: a bar at a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use regua_domain::QueueStatus as Status;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::client::{Client, QueueStatus};
use crate::output;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Between two lines where there is no terminal and nothing has changed but numbers.
const LINE: Duration = Duration::from_secs(10);

/// Shows what becomes of the queues until all are final or `patience` is over; answers their last states.
pub(crate) async fn until_final(
    client: &Client,
    queues: &[Uuid],
    patience: Option<Duration>,
) -> anyhow::Result<Vec<QueueStatus>> {
    let deadline = patience.map(|patience| Instant::now() + patience);
    let mut display = Display::new();
    loop {
        let mut seen = Vec::with_capacity(queues.len());
        for queue in queues {
            let status: QueueStatus = serde_json::from_value(client.status(*queue).await?)?;
            seen.push(status);
        }
        let is_over = seen.iter().all(|queue| queue.status.is_final());
        display.show(&seen, is_over);
        if is_over || deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Ok(seen);
        }
        sleep(LOOK).await;
    }
}

/// The bar, or where the last line stood.
enum Display {
    Bar(ProgressBar),
    Lines { said: Option<(Instant, Vec<Status>)> },
}

impl Display {
    fn new() -> Self {
        if !stderr().is_terminal() {
            return Self::Lines { said: None };
        }
        let style = ProgressStyle::with_template("{bar:32} {pos}/{len} {wide_msg}");
        Self::Bar(ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    fn show(&mut self, queues: &[QueueStatus], is_over: bool) {
        let total: u64 = queues.iter().map(|queue| queue.total).sum();
        let settled: u64 = queues.iter().map(QueueStatus::settled).sum();
        match self {
            Self::Bar(bar) => {
                bar.set_length(total);
                bar.set_message(text(queues));
                bar.set_position(settled);
                if is_over {
                    bar.finish();
                }
            }
            Self::Lines { said } => {
                let states: Vec<_> = queues.iter().map(|queue| queue.status).collect();
                let is_news = said.as_ref().is_none_or(|(at, before)| at.elapsed() > LINE || *before != states);
                if is_news || is_over {
                    output::remark(format_args!("{settled}/{total} {}", text(queues)));
                    *said = Some((Instant::now(), states));
                }
            }
        }
    }
}

type Count = fn(&QueueStatus) -> u64;

/// What the numbers are, and why nothing moves where nothing does.
fn text(queues: &[QueueStatus]) -> String {
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
    parts.extend(open.map(state));
    parts.join(" · ")
}

/// A queue's state, with its reason and with when it goes on.
pub(crate) fn state(queue: &QueueStatus) -> String {
    let mut text = queue.status.to_string();
    if let Some(reason) = &queue.reason {
        text += &format!(" ({reason})");
    }
    if let Some(at) = queue.resume_at {
        text += &format!(", goes on at {}", at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    }
    text
}
