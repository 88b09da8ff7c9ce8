//! The command line: reads its arguments, runs one command, and says by its exit status how it ended.

mod admin;
mod api_key;
mod arguments;
mod audit;
mod batches;
mod client;
mod contact;
mod contact_file;
mod database;
mod debtor;
mod demo;
mod dev;
mod doctor;
mod example_tenant;
mod export;
mod fleet;
#[doc(hidden)]
pub mod fuzz;
mod holiday;
mod hours;
mod instance;
mod key;
mod migrate;
mod output;
mod queue;
mod secrets;
mod send;
mod template;
mod tenant;
mod user;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;

/// Runs the command that the program was called with; how it ended is the program's exit status.
pub async fn run() -> ExitCode {
    regua_boot::init_tls();
    match Box::pin(arguments::run(Arguments::parse())).await {
        Ok(ending) => ending.into(),
        Err(error) => {
            output::failure(&error);
            ExitCode::from(1)
        }
    }
}
