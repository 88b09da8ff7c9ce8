//! `regua holiday`: lists, adds and removes the days on which a tenant is closed.

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::TenantArguments;
use crate::exit_status::ExitStatus;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the closed days of a year: the tenant's own and the national holidays
    #[command(after_help = "Example:\n  regua holiday list --tenant acme --year 2027")]
    List(List),
    /// Close a day, or rename a closed one
    #[command(after_help = "Example:\n  regua holiday add --tenant acme 2026-12-24 --name 'Véspera de Natal'")]
    Add(Add),
    /// Remove one of the tenant's own closed days
    #[command(after_help = "Example:\n  regua holiday remove --tenant acme 2026-12-24")]
    Remove(Remove),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    target: TenantArguments,
    /// Absent: this year
    #[arg(long)]
    year: Option<u16>,
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    #[command(flatten)]
    target: TenantArguments,
    /// Such as 2026-12-24
    day: NaiveDate,
    /// Name of the holiday
    #[arg(long)]
    name: String,
}

#[derive(Args, Debug)]
pub(crate) struct Remove {
    #[command(flatten)]
    target: TenantArguments,
    /// Such as 2026-12-24
    day: NaiveDate,
}

pub(crate) async fn run(command: &Command) -> anyhow::Result<ExitStatus> {
    match command {
        Command::List(list) => list.run().await,
        Command::Add(add) => add.run().await,
        Command::Remove(remove) => remove.run().await,
    }
}

impl List {
    async fn run(&self) -> anyhow::Result<ExitStatus> {
        let year = self.year.map(|year| format!("?year={year}")).unwrap_or_default();
        let days = self.target.open().await?.items(&format!("/holidays{year}")).await?;
        if self.target.format.json {
            output::json(&days)?;
            return Ok(ExitStatus::Success);
        }
        let origin = |day: &Value| match (day["own"] == true, day["national"] == true) {
            (true, true) => "own, national",
            (true, false) => "own",
            (false, _) => "national",
        };
        let row = |day: &Value| [output::cell(&day["day"]), origin(day).to_owned(), output::cell(&day["name"])];
        output::table(["DAY", "WHOSE", "NAME"], days.iter().map(row))?;
        Ok(ExitStatus::Success)
    }
}

impl Add {
    async fn run(&self) -> anyhow::Result<ExitStatus> {
        let admin = self.target.open().await?;
        let closed = admin.put(&format!("/holidays/{}", self.day), &json!({"name": self.name})).await?;
        if self.target.format.json {
            output::json(&closed)?;
        } else {
            output::line(format_args!("{} is closed: {}", self.day, output::cell(&closed["name"])))?;
        }
        Ok(ExitStatus::Success)
    }
}

impl Remove {
    async fn run(&self) -> anyhow::Result<ExitStatus> {
        self.target.open().await?.delete(&format!("/holidays/{}", self.day)).await?;
        if self.target.format.json {
            output::json(&json!({"day": self.day, "own": false}))?;
        } else {
            output::line(format_args!("{} is none of the tenant's own closed days any more", self.day))?;
        }
        Ok(ExitStatus::Success)
    }
}
