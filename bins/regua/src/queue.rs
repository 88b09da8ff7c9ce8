//! `regua queue`: what becomes of batches, and an operator's hand on them. All of it over HTTP, with a key.

use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use regua_domain::{MessageType, QueueStatus as Status};
use serde_json::Value;
use uuid::Uuid;

use crate::arguments::{Ending, Form};
use crate::client::{ApiArguments, Client, QueueStatus};
use crate::export::Export;
use crate::{output, watch};

/// The most items of one page.
const PAGE: usize = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List queues, newest first
    #[command(after_help = "Example:\n  regua queue list --status running --key regua_…")]
    List(List),
    /// Show one queue
    #[command(after_help = "Example:\n  regua queue status 019a9f3c-… --json --key regua_…")]
    Status(Of),
    /// Watch a queue until nothing is left to be sent; exit status 0 only when it completed
    #[command(after_help = "Example:\n  regua queue watch 019a9f3c-… --key regua_…")]
    Watch(Of),
    /// Write what became of a queue's contacts, as CSV for a spreadsheet
    #[command(
        after_help = "Example:\n  regua queue export 019a9f3c-… --output novembro.csv --delimiter ';' --bom --key regua_…"
    )]
    Export(Export),
    /// Hold a queue: nothing more leaves until it is resumed
    #[command(after_help = "Example:\n  regua queue pause 019a9f3c-… --key regua_…")]
    Pause(Of),
    /// Let a paused queue go on
    #[command(after_help = "Example:\n  regua queue resume 019a9f3c-… --key regua_…")]
    Resume(Of),
    /// Stop a queue for good; what has not left is never sent
    #[command(after_help = "Example:\n  regua queue cancel 019a9f3c-… --key regua_…")]
    Cancel(Of),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    api: ApiArguments,
    /// Only of this type: overdue, upcoming or notification
    #[arg(long = "type", value_name = "TYPE")]
    message_type: Option<MessageType>,
    /// Only in this state, such as running or paused
    #[arg(long)]
    status: Option<Status>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    form: Form,
}

#[derive(Args, Debug)]
pub(crate) struct Of {
    #[command(flatten)]
    api: ApiArguments,
    /// The queue's id, as `regua send` or `regua queue list` shows it
    id: Uuid,
    #[command(flatten)]
    form: Form,
}

/// Runs the command.
pub(crate) async fn run(command: &Command) -> anyhow::Result<Ending> {
    match command {
        Command::List(list) => list.run().await,
        Command::Status(of) => show(&of.api.client()?.impatient().status(of.id).await?, of.form),
        Command::Watch(of) => of.watch().await,
        Command::Export(export) => export.run().await,
        Command::Pause(of) => of.control("pause").await,
        Command::Resume(of) => of.control("resume").await,
        Command::Cancel(of) => of.control("cancel").await,
    }
}

impl List {
    async fn run(&self) -> anyhow::Result<Ending> {
        let items = self.items(&self.api.client()?.impatient()).await?;
        if self.form.json {
            output::json(&items)?;
            return Ok(Ending::Done);
        }
        let queues: Vec<QueueStatus> = serde_json::from_value(Value::Array(items))?;
        let header = ["QUEUE", "TYPE", "NAME", "STATE", "SENT", "FAILED", "UNCONFIRMED", "PENDING", "TOTAL", "CREATED"];
        output::table(header, queues.iter().map(row))?;
        Ok(Ending::Done)
    }

    async fn items(&self, client: &Client) -> anyhow::Result<Vec<Value>> {
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

impl Of {
    async fn control(&self, action: &str) -> anyhow::Result<Ending> {
        show(&self.api.client()?.impatient().control(self.id, action).await?, self.form)
    }

    async fn watch(&self) -> anyhow::Result<Ending> {
        let client = self.api.client()?;
        let last = watch::until_final(&client, &[self.id], None).await?;
        show(&client.status(self.id).await?, self.form)?;
        Ok(Ending::of(last.iter().all(|queue| queue.status == Status::Completed)))
    }
}

fn show(answer: &Value, form: Form) -> anyhow::Result<Ending> {
    if form.json {
        output::json(answer)?;
        return Ok(Ending::Done);
    }
    let queue: QueueStatus = serde_json::from_value(answer.clone())?;
    output::line(format_args!("{} {} · {} · {}", queue.r#type, queue.queue_id, queue.name, watch::state(&queue)))?;
    let QueueStatus { sent, failed, unconfirmed, skipped, cancelled, pending, sending, total, .. } = queue;
    output::line(format_args!(
        "sent {sent}, failed {failed}, unconfirmed {unconfirmed}, skipped {skipped}, cancelled {cancelled}, \
         pending {pending}, sending {sending} of {total}"
    ))?;
    if let Some(eta) = queue.eta {
        output::line(format_args!("done at about {}", eta.to_rfc3339_opts(SecondsFormat::Secs, true)))?;
    }
    Ok(Ending::Done)
}

fn row(queue: &QueueStatus) -> [String; 10] {
    [
        queue.queue_id.to_string(),
        queue.r#type.clone(),
        queue.name.chars().take(60).collect(),
        watch::state(queue),
        queue.sent.to_string(),
        queue.failed.to_string(),
        queue.unconfirmed.to_string(),
        (queue.pending + queue.sending).to_string(),
        queue.total.to_string(),
        queue.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
    ]
}
