//! The commands of `regua` and where each one lives. What a command takes stands beside what it does.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::{
    audit, contact, debtor, demo, dev, doctor, holiday, hours, instance, key, migrate, queue, secrets, send, template,
    tenant, user,
};

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
    /// Create API keys, list, replace and revoke them
    #[command(subcommand)]
    Key(key::Command),
    /// Add WhatsApp numbers, list them, and see whether they are connected
    #[command(subcommand)]
    Instance(instance::Command),
    /// Import message templates
    #[command(subcommand)]
    Template(template::Command),
    /// See when a tenant's messages may go, and change it
    #[command(subcommand)]
    Hours(hours::Command),
    /// Close days, list the closed ones, and open them again
    #[command(subcommand)]
    Holiday(holiday::Command),
    /// Invite people, list them, and switch them off
    #[command(subcommand)]
    User(user::Command),
    /// See what was changed, by whom, from where
    #[command(subcommand)]
    Audit(audit::Command),
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
        Command::Hours(command) => hours::run(&command).await,
        Command::Holiday(command) => holiday::run(&command).await,
        Command::User(command) => user::run(&command).await,
        Command::Audit(command) => audit::run(&command).await,
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
    fn neither_debug_nor_help_shows_a_secret() {
        let url = "postgres://regua:segredo-1@db/regua";
        let secrets = ["--database-url", url, "--secret-key", "segredo-2", "--old-secret-keys", "segredo-3"];
        let instance = ["--url", "https://evo.example", "--token", "segredo-4", "--tenant", "acme", "--name", "matriz"];
        let lines = [
            [&["regua", "instance", "add"], &secrets[..], &instance].concat(),
            [&["regua", "instance", "check", "--tenant", "acme"], &secrets[..]].concat(),
            [&["regua", "secrets", "rotate"], &secrets[..]].concat(),
            [&["regua", "dev"], &secrets[..], &["--amqp-url", "amqp://regua:segredo-5@mq"]].concat(),
            vec!["regua", "migrate", "--database-url", url, "--database-direct-url", url],
            vec!["regua", "queue", "list", "--key", "segredo-6"],
            vec!["regua", "key", "list", "--tenant", "a", "--api-url", "http://r", "--access-token", "segredo-7"],
        ];
        for line in lines {
            let shown = format!("{:?}", Arguments::try_parse_from(&line).unwrap());
            assert!(!shown.contains("segredo"), "{shown}");
        }
        fn look(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = argument.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let is_secret = ["DATABASE_", "AMQP_URL", "_KEY", "TOKEN", "SECRET", "PASSWORD"];
                let is_secret = is_secret.iter().any(|part| name.contains(part));
                let is_plain = name.ends_with("_MODE") || name.ends_with("_CONNECTIONS");
                assert!(!is_secret || is_plain || argument.is_hide_env_values_set(), "--help shows {name}'s value");
            }
            command.get_subcommands().for_each(look);
        }
        look(&Arguments::command());
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
