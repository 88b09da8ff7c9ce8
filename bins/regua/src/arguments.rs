//! The commands of `regua` and where each one lives. What a command takes stands beside what it does.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::{contact, debtor, demo, dev, doctor, instance, key, migrate, queue, secrets, send, template, tenant};

/// Régua sends dunning messages over WhatsApp: sets it up, feeds it, and looks after it.
#[derive(Debug, Parser)]
#[command(
    name = "regua",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit status: 0 done, 1 failed, 2 wrong usage.\nTo see it work: regua demo"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole system at work: 500 messages to a stand-in for WhatsApp
    Demo(demo::Arguments),
    /// Run every process in one, for development, with a fixed key and a stand-in for WhatsApp
    Dev(dev::Arguments),
    /// Bring the database's schema up to date
    Migrate(migrate::Arguments),
    /// Create a tenant
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Create an API key
    #[command(subcommand)]
    Key(key::Command),
    /// Add WhatsApp numbers, list them, and see whether they are connected
    #[command(subcommand)]
    Instance(instance::Command),
    /// Import message templates
    #[command(subcommand)]
    Template(template::Command),
    /// Look after what is sealed in the database
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// Send a file of contacts
    Send(send::Arguments),
    /// See what becomes of a batch; pause, resume or cancel it
    #[command(subcommand)]
    Queue(queue::Command),
    /// See what became of one contact; decide one of which nobody can say whether it left
    #[command(subcommand)]
    Contact(contact::Command),
    /// Show or erase what is kept about one debtor
    #[command(subcommand)]
    Debtor(debtor::Command),
    /// Look for what is wrong with the system
    Doctor(doctor::Arguments),
}

/// For whom a listing is written.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Form {
    /// Write JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a command ended that has said all there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// What was asked for is done.
    Done,
    /// It is not, or what was looked at is not well.
    Failed,
}

impl Ending {
    /// Done where it `holds`.
    pub(crate) const fn of(holds: bool) -> Self {
        if holds { Self::Done } else { Self::Failed }
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Done => Self::SUCCESS,
            Ending::Failed => Self::from(1),
        }
    }
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    match arguments.command {
        Command::Demo(arguments) => Box::pin(demo::run(arguments)).await,
        Command::Dev(arguments) => Box::pin(dev::run(arguments)).await,
        Command::Migrate(arguments) => migrate::run(&arguments).await,
        Command::Tenant(command) => tenant::run(&command).await,
        Command::Key(command) => key::run(&command).await,
        Command::Instance(command) => instance::run(&command).await,
        Command::Template(command) => template::run(&command).await,
        Command::Secrets(command) => secrets::run(&command).await,
        Command::Send(arguments) => send::run(&arguments).await,
        Command::Queue(command) => queue::run(&command).await,
        Command::Contact(command) => contact::run(&command).await,
        Command::Debtor(command) => debtor::run(&command).await,
        Command::Doctor(arguments) => doctor::run(&arguments).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        fn look(command: &clap::Command) {
            let mut leaves = command.get_subcommands().peekable();
            if leaves.peek().is_none() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example"), "{} has no example", command.get_name());
            }
            leaves.for_each(look);
        }
        look(&Arguments::command());
    }
}
