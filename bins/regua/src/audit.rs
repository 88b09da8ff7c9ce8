//! `regua audit`: what was changed, by whom, from where.

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::admin::Of;
use crate::arguments::Ending;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List a tenant's changes, newest first; --json has what was before and after
    #[command(after_help = "Example:\n  regua audit list --tenant acme --action key.created")]
    List(List),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    of: Of,
    /// Only these, such as instance.updated
    #[arg(long, value_parser = action)]
    action: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

/// Runs the command.
pub(crate) async fn run(Command::List(list): &Command) -> anyhow::Result<Ending> {
    let admin = list.of.open().await?;
    let action = list.action.as_ref().map(|action| format!("&action={action}")).unwrap_or_default();
    let entries = admin.items(&format!("/audit?limit={}{action}", list.limit)).await?;
    if list.of.form.json {
        output::json(&entries)?;
        return Ok(Ending::Done);
    }
    output::table(["AT", "WHO", "FROM", "WHAT", "OF"], entries.iter().map(row))?;
    Ok(Ending::Done)
}

fn row(entry: &Value) -> [String; 5] {
    let kind = if entry["actor_kind"] == "user" {
        String::new()
    } else {
        format!(" ({})", output::cell(&entry["actor_kind"]))
    };
    [
        output::cell(&entry["at"]),
        format!("{}{kind}", output::cell(&entry["actor_name"])),
        output::cell(&entry["client"]),
        output::cell(&entry["action"]),
        output::cell(&entry["object_id"]),
    ]
}

/// As the table's check has it, so that it can stand in an address.
fn action(text: &str) -> Result<String, String> {
    let is_action = text.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.".contains(&byte));
    if is_action && !text.is_empty() { Ok(text.to_owned()) } else { Err("write it as key.created".to_owned()) }
}
