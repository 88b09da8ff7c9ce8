//! `regua contact`: shows one contact with its attempts, and decides an unconfirmed one. Over HTTP, with an API key.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use regua_store::attempts::Attempt;
use regua_store::contacts::Contact;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::ApiArguments;
use crate::output::{self, OutputFormat, instant, or_dash};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show one contact with its attempts
    #[command(after_help = "Example:\n  regua contact show 7K3F9Q --key regua_…")]
    Show(ContactArguments),
    /// Confirm that an unconfirmed message did leave: the contact is sent
    #[command(after_help = "Example:\n  regua contact confirm 7K3F9Q --by Ana --key regua_…")]
    Confirm(Decide),
    /// Send an unconfirmed contact once more
    #[command(after_help = "Example:\n  regua contact resend 7K3F9Q --by Ana --key regua_…")]
    Resend(Decide),
    /// Give an unconfirmed contact up: it is failed, and never sent again
    #[command(after_help = "Example:\n  regua contact give-up 7K3F9Q --by Ana --key regua_…")]
    GiveUp(Decide),
}

#[derive(Args, Debug)]
pub(crate) struct ContactArguments {
    #[command(flatten)]
    api: ApiArguments,
    /// The contact's id, or the reference in its message, such as 7K3F9Q
    #[arg(value_parser = id)]
    id: String,
    #[command(flatten)]
    format: OutputFormat,
}

#[derive(Args, Debug)]
pub(crate) struct Decide {
    #[command(flatten)]
    contact: ContactArguments,
    /// The person who decides, for the record; absent: the API key
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// One contact with all its attempts.
#[derive(Deserialize, Serialize)]
struct ContactHistory {
    #[serde(flatten)]
    contact: Contact,
    history: Vec<Attempt>,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let (ContactArguments { api, id, format }, decision) = match command {
        Command::Show(contact) => (contact, None),
        Command::Confirm(Decide { contact, by }) => (contact, Some(("confirm", by))),
        Command::Resend(Decide { contact, by }) => (contact, Some(("resend", by))),
        Command::GiveUp(Decide { contact, by }) => (contact, Some(("give_up", by))),
    };
    let (client, path) = (api.client()?.with_few_retries(), format!("/billing/contact/{id}"));
    let contact: ContactHistory = match decision {
        None => client.get(&path).await?,
        Some((verdict, said_by)) => {
            client.post(&format!("{path}/verdict"), &json!({"verdict": verdict, "said_by": said_by})).await?
        }
    };
    if format.json {
        output::json(&contact)?;
    } else {
        print(&contact)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(ContactHistory { contact, history }: &ContactHistory) -> anyhow::Result<()> {
    for (name, value) in [
        ("contact", contact.contact_id.to_string()),
        ("reference", contact.reference.clone()),
        ("external id", or_dash(contact.external_id.as_ref())),
        ("phone", contact.phone.clone()),
        ("state", contact.status.to_string()),
        ("reason", or_dash(contact.reason.as_ref())),
        ("message", or_dash(contact.message_id.as_ref())),
        ("sent", or_dash(contact.sent_at.map(instant))),
        ("delivered", or_dash(contact.delivered_at.map(instant))),
        ("read", or_dash(contact.read_at.map(instant))),
    ] {
        output::line(format_args!("{name:<12} {value}"))?;
    }
    let header = ["TRY", "STARTED", "OUTCOME", "REASON", "LOOKS", "NEXT LOOK", "SETTLED BY"];
    let rows = history.iter().map(|attempt| {
        [
            attempt.number.to_string(),
            instant(attempt.started_at),
            or_dash(attempt.outcome),
            or_dash(attempt.reason.as_ref()),
            attempt.looks.to_string(),
            or_dash(attempt.next_look_at.map(instant)),
            or_dash(attempt.settled_by),
        ]
    });
    output::table(header, rows)
}

/// Accepts what is safe in a path. The API decides whether a contact has the id.
fn id(text: &str) -> Result<String, String> {
    let is_id = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_id { Ok(text.to_owned()) } else { Err("write the contact's id or its reference, such as 7K3F9Q".to_owned()) }
}
