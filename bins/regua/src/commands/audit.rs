//! `regua audit`: lists the changes of a tenant.

use std::process::ExitCode;

use clap::Subcommand;
use regua_domain::ActorKind;
use regua_store::audit_log::Entry;

use crate::client::TenantArguments;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List a tenant's changes, newest first; --json has the values before and after
    #[command(after_help = "Example:\n  regua audit list --tenant acme --action key.created")]
    List {
        #[command(flatten)]
        target: TenantArguments,
        /// Only this action, such as instance.updated
        #[arg(long, value_parser = action)]
        action: Option<String>,
        /// Most entries
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
}

pub(crate) async fn run(Command::List { target, action, limit }: Command) -> anyhow::Result<ExitCode> {
    let action = action.map(|action| format!("action={action}&")).unwrap_or_default();
    let path = format!("/admin/audit?{action}");
    let entries: Vec<Entry> = target.client().await?.first(&path, limit.into()).await?;
    target.format.listing(&entries, ["AT", "WHO", "FROM", "WHAT", "OF"], |entry| {
        let kind = Some(entry.actor_kind).filter(|kind| *kind != ActorKind::User).map(|kind| kind.as_str());
        [
            output::instant(entry.at),
            output::with_reason(&entry.actor_name, kind),
            output::or_dash(entry.client.as_ref()),
            entry.action.clone(),
            output::or_dash(entry.object_id.as_ref()),
        ]
    })
}

/// The characters that the table's check constraint allows; all of them are safe in a URL.
fn action(text: &str) -> Result<String, String> {
    let is_action = text.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.".contains(&byte));
    if is_action && !text.is_empty() { Ok(text.to_owned()) } else { Err("write it as key.created".to_owned()) }
}
