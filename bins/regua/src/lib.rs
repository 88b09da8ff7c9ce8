//! The command line: parses the arguments, runs one command, and reports success or failure by the exit status.

mod client;
mod commands;
mod database;
mod display_name;
mod files;
mod fleet;
#[cfg(feature = "harness")]
pub mod harness;
mod output;
mod secret;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Arguments;

/// Runs the command of the process arguments.
pub async fn run() -> ExitCode {
    regua_boot::init_tls();
    match Box::pin(commands::run(Arguments::parse())).await {
        Ok(status) => status,
        Err(error) => {
            output::remark(format_args!("regua: {}", database::describe(&error)));
            ExitCode::from(1)
        }
    }
}
