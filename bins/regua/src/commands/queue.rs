//! `regua queue`: shows, watches, exports and controls queues. Over HTTP, with an API key.

mod export;
mod watch;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use regua_domain::{ControlAction, MessageType, QueueId, QueueStatus as Status};
use regua_store::queues::Queue;
use serde_json::json;

pub(crate) use self::watch::watch_until_final;

use self::export::Export;
use self::watch::describe_status;
use crate::client::{ApiArguments, Client};
use crate::output::{self, OutputFormat, whole_second};

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
    id: QueueId,
    #[command(flatten)]
    format: OutputFormat,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(list) => list.run().await,
        Command::Status(queue) => show(&status(&queue.api.client()?.with_few_retries(), queue.id).await?, queue.format),
        Command::Watch(queue) => queue.watch().await,
        Command::Export(export) => export.run().await,
        Command::Pause(queue) => queue.control(ControlAction::Pause).await,
        Command::Resume(queue) => queue.control(ControlAction::Resume).await,
        Command::Cancel(queue) => queue.control(ControlAction::Cancel).await,
    }
}

async fn status(client: &Client, queue: QueueId) -> anyhow::Result<Queue> {
    client.get(&format!("/billing/queue/{queue}/status")).await
}

/// Pauses, resumes or cancels a queue; returns its new status.
pub(crate) async fn control(client: &Client, queue: QueueId, action: ControlAction) -> anyhow::Result<Queue> {
    client.post(&format!("/billing/queue/{queue}/control"), &json!({"action": action})).await
}

impl List {
    async fn run(&self) -> anyhow::Result<ExitCode> {
        let filters =
            [("type", self.message_type.map(MessageType::as_str)), ("status", self.status.map(Status::as_str))];
        let filters = filters.iter().filter_map(|(name, value)| Some(format!("{name}={}&", (*value)?)));
        let path = format!("/billing/queues?{}", filters.collect::<String>());
        let client = self.api.client()?.with_few_retries();
        let queues: Vec<Queue> = client.first(&path, self.limit).await?;
        let header = ["QUEUE", "TYPE", "NAME", "STATE", "SENT", "FAILED", "UNCONFIRMED", "PENDING", "TOTAL", "CREATED"];
        self.format.listing(&queues, header, row)
    }
}

impl QueueArguments {
    async fn control(&self, action: ControlAction) -> anyhow::Result<ExitCode> {
        show(&control(&self.api.client()?.with_few_retries(), self.id, action).await?, self.format)
    }

    async fn watch(&self) -> anyhow::Result<ExitCode> {
        let client = self.api.client()?;
        let last = watch_until_final(&client, &[self.id], None).await?;
        show(&status(&client, self.id).await?, self.format)?;
        Ok(output::success_if(last.iter().all(|queue| queue.status == Status::Completed)))
    }
}

fn show(queue: &Queue, format: OutputFormat) -> anyhow::Result<ExitCode> {
    let Queue { queue_id, name, message_type, total, pending, sending, .. } = queue;
    let Queue { sent, failed, unconfirmed, skipped, cancelled, .. } = queue;
    let eta = queue.eta.map(|eta| format!("\ndone at about {}", whole_second(eta))).unwrap_or_default();
    let text = format_args!(
        "{message_type} {queue_id} · {name} · {}\nsent {sent}, failed {failed}, unconfirmed {unconfirmed}, skipped {skipped}, \
         cancelled {cancelled}, pending {pending}, sending {sending} of {total}{eta}",
        describe_status(queue)
    );
    format.result(queue, text)
}

fn row(queue: &Queue) -> [String; 10] {
    [
        queue.queue_id.to_string(),
        queue.message_type.to_string(),
        queue.name.chars().take(60).collect(),
        describe_status(queue),
        queue.sent.to_string(),
        queue.failed.to_string(),
        queue.unconfirmed.to_string(),
        (queue.pending + queue.sending).to_string(),
        queue.total.to_string(),
        whole_second(queue.created_at),
    ]
}
