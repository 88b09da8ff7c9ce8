//! `regua contact`: shows one contact with its attempts, and decides an unconfirmed one. Over HTTP, with an API key.

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::client::ApiArguments;
use crate::exit_status::ExitStatus;
use crate::output;
use crate::output::OutputFormat;

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

pub(crate) async fn run(command: &Command) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Show(ContactArguments { api, id, format }) => {
            show(&api.client()?.with_few_retries().contact(id).await?, *format)
        }
        Command::Confirm(decide) => decide.run("confirm").await,
        Command::Resend(decide) => decide.run("resend").await,
        Command::GiveUp(decide) => decide.run("give_up").await,
    }
}

impl Decide {
    async fn run(&self, decision: &str) -> anyhow::Result<ExitStatus> {
        let ContactArguments { api, id, format } = &self.contact;
        let client = api.client()?.with_few_retries();
        show(&client.decide(id, decision, self.by.as_deref()).await?, *format)
    }
}

fn show(contact: &Value, format: OutputFormat) -> anyhow::Result<ExitStatus> {
    if format.json {
        output::json(contact)?;
        return Ok(ExitStatus::Success);
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let shown = |value: &Value| if value.is_null() { "-".to_owned() } else { text(value) };
    for (name, field) in [
        ("contact", "contact_id"),
        ("reference", "reference"),
        ("external id", "external_id"),
        ("phone", "phone"),
        ("state", "status"),
        ("reason", "reason"),
        ("message", "message_id"),
        ("sent", "sent_at"),
        ("delivered", "delivered_at"),
        ("read", "read_at"),
    ] {
        output::line(format_args!("{name:<12} {}", shown(&contact[field])))?;
    }
    let header = ["TRY", "STARTED", "OUTCOME", "REASON", "LOOKS", "NEXT LOOK", "SETTLED BY"];
    let fields = ["number", "started_at", "outcome", "reason", "looks", "next_look_at", "settled_by"];
    let attempts = contact["history"].as_array().into_iter().flatten();
    output::table(header, attempts.map(|attempt| fields.map(|field| shown(&attempt[field]))))?;
    Ok(ExitStatus::Success)
}

/// Accepts what is safe in a path. The API decides whether a contact has the id.
fn id(text: &str) -> Result<String, String> {
    let is_id = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_id { Ok(text.to_owned()) } else { Err("write the contact's id or its reference, such as 7K3F9Q".to_owned()) }
}
