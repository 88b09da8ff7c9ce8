//! `regua send`: posts a file of contacts to the API, as an ERP would. The posting itself is also `regua demo`'s.

mod report;

use std::path::PathBuf;

use anyhow::Context;
use chrono::{DateTime, FixedOffset};
use clap::Args;
use regua_domain::{MessageType, QueueStatus as Status};
use serde_json::Value;
use uuid::Uuid;

pub(crate) use report::Report;

use crate::arguments::Ending;
use crate::batches::{self, Batch, Options};
use crate::client::{ApiArguments, Client, Problem};
use crate::contact_file::ContactFile;
use crate::{output, watch};

const HELP: &str = "\
Example:
  regua send overdue clientes.csv --key regua_… --dry-run
  regua send overdue clientes.csv --key regua_… --wait

CSV: the first line names the columns, separated by commas or semicolons. external_id, name, phone, due_date (2026-11-10)
and amount (150.00) are the contact's own; every other column is a variable for the template. UTF-8, or Windows-1252.
JSON: what the API takes (see examples/send.json), or only its list of contacts.

Sending twice: a batch is known by its external id, and the same one is never sent again. Without --external-id it is made
from the file's contents and the type, so that a repeated command is answered as the first one was. To send the same file
once more on purpose, give another --external-id. More than 10,000 contacts are sent as several batches, ID-1, ID-2, ….

Exit status 0 when the file was taken, even if single contacts were rejected (each is listed); with --wait, when every
queue completed.";

/// What `regua send` takes.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// overdue, upcoming or notification
    #[arg(value_name = "TYPE")]
    message_type: MessageType,
    /// A CSV or JSON file of contacts
    file: PathBuf,
    #[command(flatten)]
    api: ApiArguments,
    /// The batch's id, unique for ever; absent: made from the file's contents and the type
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// The template's name; absent: the type's default
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// The instance's name; absent: the type's default
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
    /// Not before then, such as 2026-11-23T09:00:00-03:00
    #[arg(long, value_name = "RFC3339")]
    schedule: Option<DateTime<FixedOffset>>,
    /// Show what would be sent, and send nothing
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Watch until everything is sent
    #[arg(long)]
    wait: bool,
    /// Write the API's answers as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let client = arguments.api.client()?;
    let path = arguments.file.display();
    let bytes = std::fs::read(&arguments.file).with_context(|| format!("{path} cannot be read"))?;
    let file = ContactFile::parse(&bytes, arguments.message_type).with_context(|| path.to_string())?;
    for remark in &file.remarks {
        output::remark(format_args!("{path}: {remark}"));
    }
    let options = Options {
        external_id: arguments.external_id.clone(),
        template: arguments.template.clone(),
        instance: arguments.instance.clone(),
        scheduled_for: arguments.schedule,
        dry_run: arguments.dry_run,
    };
    let batches = batches::of(file, &options, arguments.message_type)?;
    let report = post(&client, arguments.message_type, &batches).await?;
    if arguments.json {
        output::json(&report.answers)?;
    } else {
        report.print()?;
    }
    if arguments.wait {
        return wait(&client, &report.queues()).await;
    }
    Ok(Ending::of(report.accepted > 0))
}

/// Posts the batches one after the other. One without a good contact is reported, and the others are posted all the same.
pub(crate) async fn post(client: &Client, message_type: MessageType, batches: &[Batch]) -> anyhow::Result<Report> {
    let mut report = Report::default();
    for batch in batches {
        match client.send(message_type, batch).await {
            Ok(answer) => report.answered(batch, answer)?,
            Err(error) => match error.downcast_ref::<Problem>().and_then(Problem::rejected_contacts) {
                Some(rejected) => report.refused(batch, rejected),
                None => return Err(stopped_at(error, batch, &report)),
            },
        }
    }
    Ok(report)
}

fn stopped_at(error: anyhow::Error, batch: &Batch, report: &Report) -> anyhow::Error {
    match report.answers.len() {
        0 => error,
        taken => error.context(format!(
            "{} taken, then batch {} failed; the same command takes up where this one stopped",
            output::counted(taken, "batch"),
            batch.external_id
        )),
    }
}

async fn wait(client: &Client, queues: &[Uuid]) -> anyhow::Result<Ending> {
    let last = watch::until_final(client, queues, None).await?;
    for queue in &last {
        output::line(format_args!(
            "{} {}: sent {}, failed {}, unconfirmed {}, skipped {}, cancelled {} of {}",
            queue.external_id,
            queue.status,
            queue.sent,
            queue.failed,
            queue.unconfirmed,
            queue.skipped,
            queue.cancelled,
            queue.total
        ))?;
    }
    Ok(Ending::of(!last.is_empty() && last.iter().all(|queue| queue.status == Status::Completed)))
}

/// Whether an answer is of a dry run.
fn is_dry_run(answer: &Value) -> bool {
    answer["dry_run"] == true
}
