//! The tree of commands, one module each with its arguments and its `run`.

mod audit;
mod contact;
mod debtor;
mod demo;
mod dev;
mod doctor;
mod holiday;
mod hours;
mod instance;
mod key;
mod migrate;
mod queue;
mod secrets;
mod send;
mod template;
mod tenant;
mod user;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Régua sends dunning messages over WhatsApp: set it up, post batches and operate it.
#[derive(Debug, Parser)]
#[command(
    name = "regua",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit status: 0 success, 1 failure, 2 wrong usage.\nTo see it work: regua demo"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole system at work: 500 messages to a sandbox instead of WhatsApp
    Demo(demo::Arguments),
    /// Run every process in one, for development, with a fixed key and a sandbox instead of WhatsApp
    Dev(dev::Arguments),
    /// Bring the database's schema up to date
    Migrate(migrate::Arguments),
    /// Create a tenant
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Create, list, replace and revoke API keys
    #[command(subcommand)]
    Key(key::Command),
    /// Add and list WhatsApp numbers, and check their connections
    #[command(subcommand)]
    Instance(instance::Command),
    /// Import message templates
    #[command(subcommand)]
    Template(template::Command),
    /// Show and change a tenant's business hours
    #[command(subcommand)]
    Hours(hours::Command),
    /// List, add and remove the days on which a tenant is closed
    #[command(subcommand)]
    Holiday(holiday::Command),
    /// Invite, list and disable users
    #[command(subcommand)]
    User(user::Command),
    /// List changes: what, by whom, from where
    #[command(subcommand)]
    Audit(audit::Command),
    /// Seal the secrets in the database with a new key
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// Send a file of contacts
    Send(send::Arguments),
    /// Show the progress of batches; pause, resume or cancel one
    #[command(subcommand)]
    Queue(queue::Command),
    /// Show one contact; decide an unconfirmed one
    #[command(subcommand)]
    Contact(contact::Command),
    /// Show or erase the data about one debtor
    #[command(subcommand)]
    Debtor(debtor::Command),
    /// Check the system, and name a remedy for each problem
    Doctor(doctor::Arguments),
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Demo(arguments) => Box::pin(demo::run(arguments)).await,
        Command::Dev(arguments) => Box::pin(dev::run(arguments)).await,
        Command::Migrate(arguments) => migrate::run(&arguments).await,
        Command::Tenant(command) => tenant::run(command).await,
        Command::Key(command) => key::run(command).await,
        Command::Instance(command) => instance::run(command).await,
        Command::Template(command) => template::run(command).await,
        Command::Hours(command) => hours::run(command).await,
        Command::Holiday(command) => holiday::run(command).await,
        Command::User(command) => user::run(command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Secrets(command) => secrets::run(&command).await,
        Command::Send(arguments) => send::run(&arguments).await,
        Command::Queue(command) => queue::run(command).await,
        Command::Contact(command) => contact::run(command).await,
        Command::Debtor(command) => debtor::run(command).await,
        Command::Doctor(arguments) => doctor::run(&arguments).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_tree_is_valid() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn debug_output_and_help_show_no_secret() {
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
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = argument.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let is_secret = ["DATABASE_", "AMQP_URL", "_KEY", "TOKEN", "SECRET", "PASSWORD"];
                let is_secret = is_secret.iter().any(|part| name.contains(part));
                let is_plain = name.ends_with("_MODE") || name.ends_with("_CONNECTIONS");
                assert!(!is_secret || is_plain || argument.is_hide_env_values_set(), "--help shows {name}'s value");
            }
            command.get_subcommands().for_each(check);
        }
        check(&Arguments::command());
    }

    #[test]
    fn help_of_every_command_has_an_example() {
        fn check(command: &clap::Command) {
            let mut leaves = command.get_subcommands().peekable();
            if leaves.peek().is_none() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example"), "{} has no example", command.get_name());
            }
            leaves.for_each(check);
        }
        check(&Arguments::command());
    }
}
