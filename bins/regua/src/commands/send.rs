//! `regua send`: posts a file of contacts to the API, as an ERP does. `regua demo` posts its file in the same way.

mod batches;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use regua_domain::{MessageType, QueueId, QueueStatus as Status};
use regua_store::queues::Queue;

pub(crate) use self::batches::{Options, split};
pub(crate) use self::report::Report;

use self::batches::Batch;
use super::queue::watch_until_final;
use crate::client::{ApiArguments, Client, Problem};
use crate::files::contact_file::ContactFile;
use crate::output;

const HELP: &str = "\
Example:
  regua send overdue clientes.csv --key regua_… --dry-run
  regua send overdue clientes.csv --key regua_… --wait

CSV: the first line names the columns, separated by commas or semicolons. external_id, name, phone, due_date (10/11/2026
or 2026-11-10) and amount (150,00 or 150.00) are fields of the contact; every other column is a variable for the template.
UTF-8, or Windows-1252.
JSON: the body of the API (see examples/send.json), or only its list of contacts.

Sending twice: the external id identifies a batch, and a batch is never sent again. Without --external-id, the id is made
from the file's contents and the type, so that a repeated command gets the answer of the first. To send the same file
once more on purpose, give another --external-id. More than 10,000 contacts are sent as several batches, ID-1, ID-2, ….

Exit status 0 when the file was accepted, even if single contacts were rejected (each is listed); with --wait, when every
queue completed.";

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
    #[command(flatten)]
    options: Options,
    /// Watch until everything is sent
    #[arg(long)]
    wait: bool,
    /// Write the API's answers as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let client = arguments.api.client()?;
    let path = arguments.file.display();
    let bytes = std::fs::read(&arguments.file).with_context(|| format!("{path} cannot be read"))?;
    let file = ContactFile::parse(&bytes, arguments.message_type).with_context(|| path.to_string())?;
    for remark in &file.remarks {
        output::remark(format_args!("{path}: {remark}"));
    }
    let batches = split(file, &arguments.options, arguments.message_type)?;
    let report = post(&client, arguments.message_type, &batches).await?;
    if arguments.json {
        output::json(&report.answers)?;
    } else {
        report.print()?;
    }
    if arguments.wait {
        return wait(&client, &report.queues()).await;
    }
    Ok(output::success_if(report.accepted > 0))
}

/// Posts the batches one after the other. A batch without a valid contact is reported, and does not stop the others.
pub(crate) async fn post(client: &Client, message_type: MessageType, batches: &[Batch]) -> anyhow::Result<Report> {
    let mut report = Report::default();
    for batch in batches {
        match client.post(&format!("/billing/send/{message_type}"), batch).await {
            Ok(answer) => report.add_answer(batch, answer)?,
            Err(error) => match error.downcast_ref::<Problem>().and_then(Problem::rejected_contacts) {
                Some(rejected) => report.add_refusal(batch, rejected),
                None => return Err(stopped_at(error, batch, &report)),
            },
        }
    }
    Ok(report)
}

fn stopped_at(error: anyhow::Error, batch: &Batch, report: &Report) -> anyhow::Error {
    match report.answers.len() {
        0 => error,
        accepted => error.context(format!(
            "{} accepted, then batch {} failed; repeat the command to continue there",
            output::counted(accepted, "batch"),
            batch.external_id
        )),
    }
}

async fn wait(client: &Client, queues: &[QueueId]) -> anyhow::Result<ExitCode> {
    let last = watch_until_final(client, queues, None).await?;
    for queue in &last {
        let Queue { external_id, status, sent, failed, unconfirmed, skipped, cancelled, total, .. } = queue;
        output::line(format_args!(
            "{external_id} {status}: sent {sent}, failed {failed}, unconfirmed {unconfirmed}, skipped {skipped}, \
             cancelled {cancelled} of {total}"
        ))?;
    }
    Ok(output::success_if(!last.is_empty() && last.iter().all(|queue| queue.status == Status::Completed)))
}
