//! `regua holiday`: the days on which a tenant sends nothing that keeps hours.

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::admin::Of;
use crate::arguments::Ending;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the closed days of a year: the tenant's own and the national ones
    #[command(after_help = "Example:\n  regua holiday list --tenant acme --year 2027")]
    List(List),
    /// Close a day, or rename a closed one
    #[command(after_help = "Example:\n  regua holiday add --tenant acme 2026-12-24 --name 'Véspera de Natal'")]
    Add(Add),
    /// Open one of the tenant's own closed days again
    #[command(after_help = "Example:\n  regua holiday remove --tenant acme 2026-12-24")]
    Remove(Remove),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    of: Of,
    /// This year unless given
    #[arg(long)]
    year: Option<u16>,
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    #[command(flatten)]
    of: Of,
    /// As 2026-12-24
    day: NaiveDate,
    /// What it is
    #[arg(long)]
    name: String,
}

#[derive(Args, Debug)]
pub(crate) struct Remove {
    #[command(flatten)]
    of: Of,
    /// As 2026-12-24
    day: NaiveDate,
}

/// Runs the command.
pub(crate) async fn run(command: &Command) -> anyhow::Result<Ending> {
    match command {
        Command::List(list) => list.run().await,
        Command::Add(add) => add.run().await,
        Command::Remove(remove) => remove.run().await,
    }
}

impl List {
    async fn run(&self) -> anyhow::Result<Ending> {
        let year = self.year.map(|year| format!("?year={year}")).unwrap_or_default();
        let days = self.of.open().await?.items(&format!("/holidays{year}")).await?;
        if self.of.form.json {
            output::json(&days)?;
            return Ok(Ending::Done);
        }
        let whose = |day: &Value| match (day["own"] == true, day["national"] == true) {
            (true, true) => "own, national",
            (true, false) => "own",
            (false, _) => "national",
        };
        let row = |day: &Value| [output::cell(&day["day"]), whose(day).to_owned(), output::cell(&day["name"])];
        output::table(["DAY", "WHOSE", "NAME"], days.iter().map(row))?;
        Ok(Ending::Done)
    }
}

impl Add {
    async fn run(&self) -> anyhow::Result<Ending> {
        let admin = self.of.open().await?;
        let closed = admin.put(&format!("/holidays/{}", self.day), &json!({"name": self.name})).await?;
        if self.of.form.json {
            output::json(&closed)?;
        } else {
            output::line(format_args!("{} is closed: {}", self.day, output::cell(&closed["name"])))?;
        }
        Ok(Ending::Done)
    }
}

impl Remove {
    async fn run(&self) -> anyhow::Result<Ending> {
        self.of.open().await?.delete(&format!("/holidays/{}", self.day)).await?;
        if self.of.form.json {
            output::json(&json!({"day": self.day, "own": false}))?;
        } else {
            output::line(format_args!("{} is none of the tenant's own closed days any more", self.day))?;
        }
        Ok(Ending::Done)
    }
}
