//! `regua holiday`: lists, adds and removes the days on which a tenant is closed.

use std::process::ExitCode;

use chrono::NaiveDate;
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::TenantArguments;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the closed days of a year: the tenant's own and the national holidays
    #[command(after_help = "Example:\n  regua holiday list --tenant acme --year 2027")]
    List {
        #[command(flatten)]
        target: TenantArguments,
        /// Absent: this year
        #[arg(long)]
        year: Option<u16>,
    },
    /// Close a day, or rename a closed one
    #[command(after_help = "Example:\n  regua holiday add --tenant acme 2026-12-24 --name 'Véspera de Natal'")]
    Add {
        #[command(flatten)]
        target: TenantArguments,
        /// Such as 2026-12-24
        day: NaiveDate,
        /// Name of the holiday
        #[arg(long)]
        name: String,
    },
    /// Remove one of the tenant's own closed days
    #[command(after_help = "Example:\n  regua holiday remove --tenant acme 2026-12-24")]
    Remove {
        #[command(flatten)]
        target: TenantArguments,
        /// Such as 2026-12-24
        day: NaiveDate,
    },
}

#[derive(Deserialize, Serialize)]
struct Holiday {
    day: NaiveDate,
    name: Option<String>,
    national: bool,
    own: bool,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List { target, year } => {
            let year = year.map(|year| format!("?year={year}")).unwrap_or_default();
            let days: Vec<Holiday> = target.client().await?.items(&format!("/admin/holidays{year}")).await?;
            target.format.listing(&days, ["DAY", "WHOSE", "NAME"], |day| {
                let origin = match (day.own, day.national) {
                    (true, true) => "own, national",
                    (true, false) => "own",
                    (false, _) => "national",
                };
                [day.day.to_string(), origin.to_owned(), output::or_dash(day.name.as_ref())]
            })
        }
        Command::Add { target, day, name } => {
            let path = format!("/admin/holidays/{day}");
            let closed: Holiday = target.client().await?.put(&path, &json!({"name": name})).await?;
            let name = output::or_dash(closed.name.as_ref());
            target.format.result(&closed, format_args!("{day} is closed: {name}"))
        }
        Command::Remove { target, day } => {
            target.client().await?.delete(&format!("/admin/holidays/{day}")).await?;
            let text = format_args!("{day} is none of the tenant's own closed days any more");
            target.format.result(&json!({"day": day, "own": false}), text)
        }
    }
}
