//! `regua contact`: one contact try by try, and a person's word on one of which nobody can say whether it left. All of it
//! over HTTP, with a key.

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::arguments::{Ending, Form};
use crate::client::ApiArguments;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show one contact, try by try
    #[command(after_help = "Example:\n  regua contact show 7K3F9Q --key regua_…")]
    Show(Of),
    /// Say that an unconfirmed message did leave: the contact is sent
    #[command(after_help = "Example:\n  regua contact confirm 7K3F9Q --by Ana --key regua_…")]
    Confirm(Decide),
    /// Have an unconfirmed contact sent once more
    #[command(after_help = "Example:\n  regua contact resend 7K3F9Q --by Ana --key regua_…")]
    Resend(Decide),
    /// Give an unconfirmed contact up: it is failed, and never sent again
    #[command(after_help = "Example:\n  regua contact give-up 7K3F9Q --by Ana --key regua_…")]
    GiveUp(Decide),
}

#[derive(Args, Debug)]
pub(crate) struct Of {
    #[command(flatten)]
    api: ApiArguments,
    /// The contact's id, or the reference in its message, such as 7K3F9Q
    #[arg(value_parser = id)]
    id: String,
    #[command(flatten)]
    form: Form,
}

#[derive(Args, Debug)]
pub(crate) struct Decide {
    #[command(flatten)]
    of: Of,
    /// Who says so, for the record; absent: the key
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(command: &Command) -> anyhow::Result<Ending> {
    match command {
        Command::Show(of) => show(&of.api.client()?.impatient().contact(&of.id).await?, of.form),
        Command::Confirm(decide) => decide.run("confirm").await,
        Command::Resend(decide) => decide.run("resend").await,
        Command::GiveUp(decide) => decide.run("give_up").await,
    }
}

impl Decide {
    async fn run(&self, verdict: &str) -> anyhow::Result<Ending> {
        let client = self.of.api.client()?.impatient();
        show(&client.verdict(&self.of.id, verdict, self.by.as_deref()).await?, self.of.form)
    }
}

fn show(contact: &Value, form: Form) -> anyhow::Result<Ending> {
    if form.json {
        output::json(contact)?;
        return Ok(Ending::Done);
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
    let tries = contact["history"].as_array().into_iter().flatten();
    output::table(header, tries.map(|one| fields.map(|field| shown(&one[field]))))?;
    Ok(Ending::Done)
}

/// What may stand in a path; whether it is anybody's id, the API says.
fn id(text: &str) -> Result<String, String> {
    let is_id = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_id { Ok(text.to_owned()) } else { Err("write the contact's id or its reference, such as 7K3F9Q".to_owned()) }
}
