//! `regua audit`: lists the changes of a tenant.

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::client::TenantArguments;
use crate::exit_status::ExitStatus;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List a tenant's changes, newest first; --json has the values before and after
    #[command(after_help = "Example:\n  regua audit list --tenant acme --action key.created")]
    List(List),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    target: TenantArguments,
    /// Only this action, such as instance.updated
    #[arg(long, value_parser = action)]
    action: Option<String>,
    /// Most entries
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

pub(crate) async fn run(Command::List(list): &Command) -> anyhow::Result<ExitStatus> {
    let admin = list.target.open().await?;
    let action = list.action.as_ref().map(|action| format!("&action={action}")).unwrap_or_default();
    let entries = admin.items(&format!("/audit?limit={}{action}", list.limit)).await?;
    if list.target.format.json {
        output::json(&entries)?;
        return Ok(ExitStatus::Success);
    }
    output::table(["AT", "WHO", "FROM", "WHAT", "OF"], entries.iter().map(row))?;
    Ok(ExitStatus::Success)
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

/// The characters that the table's check constraint allows; all of them are safe in a URL.
fn action(text: &str) -> Result<String, String> {
    let is_action = text.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.".contains(&byte));
    if is_action && !text.is_empty() { Ok(text.to_owned()) } else { Err("write it as key.created".to_owned()) }
}
