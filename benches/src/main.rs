//! `regua-bench`: measures of the release build, each beside its limit, in one run on one machine.

#![expect(clippy::disallowed_methods, reason = "measures read the tables directly")]

mod erp;
mod fill;
mod gateway;
mod growth;
mod measures;
mod peers;
mod process;
mod report;
mod samples;
mod sizes;
mod statements;
mod tenants;
mod testbed;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::{Parser, Subcommand};
use serde_json::Value;

use crate::measures::Measure;
use crate::report::{print, progress};
use crate::sizes::Sizes;

/// Measures the fleet. It needs DATABASE_URL and AMQP_URL of servers without other users: `make bench` starts them.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only measures whose names contain one of these, with commas between: intake, latency, sends, one-number, lanes, doorbell, pause, stored
    #[arg(long, value_name = "NAMES")]
    only: Option<String>,
    /// Smaller sizes: all measures within two minutes
    #[arg(long)]
    quick: bool,
    /// File for the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures by stored contacts and by lanes (--only contacts, --only lanes), and writes growth.json
    Growth {
        /// The folder of growth.json
        #[arg(default_value = "docs")]
        folder: PathBuf,
    },
    /// Measures only the figures that other systems are compared by (MESSAGES, GATEWAY_URL, GATEWAY_TOKEN, GATEWAY_INSTANCE)
    Peers {
        /// File for the figures as JSON
        file: PathBuf,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    regua_boot::init_tls();
    let arguments = Arguments::parse();
    let sizes = if arguments.quick { Sizes::QUICK } else { Sizes::FULL };
    match &arguments.command {
        Some(Command::Growth { folder }) => {
            growth::measure(folder, arguments.only.as_deref().unwrap_or_default(), arguments.quick).await?;
        }
        Some(Command::Peers { file }) => write(file, &peers::measure(sizes).await?)?,
        None => return measure_all(&arguments, sizes).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures, prints the table and writes the JSON. A measure that fails does not stop the others.
async fn measure_all(arguments: &Arguments, sizes: Sizes) -> anyhow::Result<ExitCode> {
    let only = arguments.only.as_deref().unwrap_or_default();
    let (mut figures, mut failed) = (Vec::new(), false);
    let wanted = |measure: &Measure| only.split(',').any(|part| measure.name().contains(part));
    for measure in Measure::ALL.into_iter().filter(wanted) {
        let started = Instant::now();
        match Box::pin(measure.run(sizes)).await {
            Ok(measured) => figures.extend(measured),
            Err(error) => {
                failed = true;
                progress(&format!("{} FAILED: {error:#}", measure.name()));
            }
        }
        progress(&format!("{} took {:.0} s", measure.name(), started.elapsed().as_secs_f64()));
    }
    print(&report::table(&figures));
    let file = match &arguments.json {
        Some(file) => file.clone(),
        None => process::output_folder()?.join("bench.json"),
    };
    write(&file, &report::document(&figures, sizes.name))?;
    progress(&format!("{} sizes; the same as JSON: {}", sizes.name, file.display()));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn write(file: &Path, document: &Value) -> anyhow::Result<()> {
    std::fs::write(file, format!("{document:#}\n")).with_context(|| format!("{} cannot be written", file.display()))
}
