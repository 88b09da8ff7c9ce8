//! `regua queue`: shows, watches, exports and controls queues. Over HTTP, with an API key.

mod export;
mod watch;

use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use regua_domain::{MessageType, QueueStatus as Status};
use serde_json::Value;
use uuid::Uuid;

pub(crate) use self::watch::watch_until_final;

use self::export::Export;
use self::watch::describe_status;
use crate::client::{ApiArguments, BillingClient, QueueStatus};
use crate::exit_status::ExitStatus;
use crate::output::{self, OutputFormat};

/// Largest page of the API.
const PAGE: usize = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List queues, newest first
    #[command(after_help = "Example:\n  regua queue list --status running --key regua_…")]
    List(List),
    /// Show one queue
    #[command(after_help = "Example:\n  regua queue status 019a9f3c-… --json --key regua_…")]
    Status(QueueArguments),
    /// Watch a queue until no message is left to send; exit status 0 only if it completed
    #[command(after_help = "Example:\n  regua queue watch 019a9f3c-… --key regua_…")]
    Watch(QueueArguments),
    /// Write the results of a queue's contacts as CSV for a spreadsheet
    #[command(
        after_help = "Example:\n  regua queue export 019a9f3c-… --output novembro.csv --delimiter ';' --bom --key regua_…"
    )]
    Export(Export),
    /// Pause a queue: no message is sent until it is resumed
    #[command(after_help = "Example:\n  regua queue pause 019a9f3c-… --key regua_…")]
    Pause(QueueArguments),
    /// Resume a paused queue
    #[command(after_help = "Example:\n  regua queue resume 019a9f3c-… --key regua_…")]
    Resume(QueueArguments),
    /// Cancel a queue: messages that have not left are never sent
    #[command(after_help = "Example:\n  regua queue cancel 019a9f3c-… --key regua_…")]
    Cancel(QueueArguments),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    api: ApiArguments,
    /// Only this type: overdue, upcoming or notification
    #[arg(long = "type", value_name = "TYPE")]
    message_type: Option<MessageType>,
    /// Only this state, such as running or paused
    #[arg(long)]
    status: Option<Status>,
    /// Most queues
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    format: OutputFormat,
}

#[derive(Args, Debug)]
pub(crate) struct QueueArguments {
    #[command(flatten)]
    api: ApiArguments,
    /// The queue's id, as `regua send` or `regua queue list` shows it
    id: Uuid,
    #[command(flatten)]
    format: OutputFormat,
}

pub(crate) async fn run(command: &Command) -> anyhow::Result<ExitStatus> {
    match command {
        Command::List(list) => list.run().await,
        Command::Status(QueueArguments { api, id, format }) => {
            show(&api.client()?.with_few_retries().status(*id).await?, *format)
        }
        Command::Watch(queue) => queue.watch().await,
        Command::Export(export) => export.run().await,
        Command::Pause(queue) => queue.control("pause").await,
        Command::Resume(queue) => queue.control("resume").await,
        Command::Cancel(queue) => queue.control("cancel").await,
    }
}

impl List {
    async fn run(&self) -> anyhow::Result<ExitStatus> {
        let items = self.items(&self.api.client()?.with_few_retries()).await?;
        if self.format.json {
            output::json(&items)?;
            return Ok(ExitStatus::Success);
        }
        let queues: Vec<QueueStatus> = serde_json::from_value(Value::Array(items))?;
        let header = ["QUEUE", "TYPE", "NAME", "STATE", "SENT", "FAILED", "UNCONFIRMED", "PENDING", "TOTAL", "CREATED"];
        output::table(header, queues.iter().map(row))?;
        Ok(ExitStatus::Success)
    }

    async fn items(&self, client: &BillingClient) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor = None::<String>;
        loop {
            let left = self.limit - items.len();
            if left == 0 {
                return Ok(items);
            }
            let mut page = client.queues(&self.filter(left.min(PAGE), cursor.as_deref())).await?;
            if let Value::Array(found) = page["items"].take() {
                items.extend(found);
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
    }

    fn filter(&self, limit: usize, cursor: Option<&str>) -> String {
        let mut filter = format!("limit={limit}");
        let parts = [
            ("type", self.message_type.map(MessageType::as_str)),
            ("status", self.status.map(Status::as_str)),
            ("cursor", cursor),
        ];
        for (name, value) in parts {
            if let Some(value) = value {
                filter += &format!("&{name}={value}");
            }
        }
        filter
    }
}

impl QueueArguments {
    async fn control(&self, action: &str) -> anyhow::Result<ExitStatus> {
        show(&self.api.client()?.with_few_retries().control(self.id, action).await?, self.format)
    }

    async fn watch(&self) -> anyhow::Result<ExitStatus> {
        let client = self.api.client()?;
        let last = watch_until_final(&client, &[self.id], None).await?;
        show(&client.status(self.id).await?, self.format)?;
        Ok(ExitStatus::success_if(last.iter().all(|queue| queue.status == Status::Completed)))
    }
}

fn show(answer: &Value, format: OutputFormat) -> anyhow::Result<ExitStatus> {
    if format.json {
        output::json(answer)?;
        return Ok(ExitStatus::Success);
    }
    let queue: QueueStatus = serde_json::from_value(answer.clone())?;
    output::line(format_args!("{} {} · {} · {}", queue.r#type, queue.queue_id, queue.name, describe_status(&queue)))?;
    let QueueStatus { sent, failed, unconfirmed, skipped, cancelled, pending, sending, total, .. } = queue;
    output::line(format_args!(
        "sent {sent}, failed {failed}, unconfirmed {unconfirmed}, skipped {skipped}, cancelled {cancelled}, \
         pending {pending}, sending {sending} of {total}"
    ))?;
    if let Some(eta) = queue.eta {
        output::line(format_args!("done at about {}", eta.to_rfc3339_opts(SecondsFormat::Secs, true)))?;
    }
    Ok(ExitStatus::Success)
}

fn row(queue: &QueueStatus) -> [String; 10] {
    [
        queue.queue_id.to_string(),
        queue.r#type.clone(),
        queue.name.chars().take(60).collect(),
        describe_status(queue),
        queue.sent.to_string(),
        queue.failed.to_string(),
        queue.unconfirmed.to_string(),
        (queue.pending + queue.sending).to_string(),
        queue.total.to_string(),
        queue.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
    ]
}
