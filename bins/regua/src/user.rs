//! `regua user`: invites people, lists them, and switches them off.

use anyhow::Context;
use clap::{Args, Subcommand};
use regua_domain::UserRole;
use serde_json::{Value, json};

use crate::admin::Of;
use crate::arguments::Ending;
use crate::{output, tenant};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Invite somebody, and print the invitation; it is shown this once
    #[command(
        after_help = "Example:\n  regua user create --tenant acme --email maria@acme.example --name 'Maria Souza' --role owner"
    )]
    Create(Create),
    /// List a tenant's people
    #[command(after_help = "Example:\n  regua user list --tenant acme")]
    List(Of),
    /// Switch somebody off, and end all their logins
    #[command(after_help = "Example:\n  regua user disable --tenant acme maria@acme.example")]
    Disable(Disable),
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    of: Of,
    /// With which they log in
    #[arg(long)]
    email: String,
    /// What they are called
    #[arg(long, value_parser = tenant::name)]
    name: String,
    /// What they may do: viewer, operator, owner or platform (docs/admin-api.md)
    #[arg(long)]
    role: UserRole,
}

#[derive(Args, Debug)]
pub(crate) struct Disable {
    #[command(flatten)]
    of: Of,
    /// Whom
    email: String,
}

/// Runs the command.
pub(crate) async fn run(command: &Command) -> anyhow::Result<Ending> {
    match command {
        Command::Create(create) => create.run().await,
        Command::List(of) => list(of).await,
        Command::Disable(disable) => disable.run().await,
    }
}

impl Create {
    async fn run(&self) -> anyhow::Result<Ending> {
        let admin = self.of.open().await?;
        let body = json!({"email": self.email, "name": self.name, "role": self.role.as_str()});
        let invited = admin.post("/users", &body).await?;
        if self.of.form.json {
            output::json(&invited)?;
            return Ok(Ending::Done);
        }
        let (tenant, email) = (&self.of.tenant, output::cell(&invited["user"]["email"]));
        output::line(output::cell(&invited["invitation"]))?;
        output::remark(format_args!(
            "This invitation is shown once, and is good until {}. Pass it on; whoever has it chooses a password:\n  \
             POST /api/v1/auth/invitation {{\"tenant\": \"{tenant}\", \"email\": \"{email}\", \"invitation\": \"…\", \
             \"password\": \"…\"}}",
            output::cell(&invited["invitation_expires_at"])
        ));
        Ok(Ending::Done)
    }
}

async fn list(of: &Of) -> anyhow::Result<Ending> {
    let people = of.open().await?.items("/users").await?;
    if of.form.json {
        output::json(&people)?;
        return Ok(Ending::Done);
    }
    output::table(["EMAIL", "NAME", "ROLE", "STATE", "SECOND FACTOR", "LAST LOGIN"], people.iter().map(row))?;
    Ok(Ending::Done)
}

fn row(person: &Value) -> [String; 6] {
    let state = match (person["active"] == true, person["invited"] == true) {
        (false, _) => "off",
        (true, true) => "invited",
        (true, false) => "active",
    };
    let second = if person["totp"] == true { "yes" } else { "no" };
    [
        output::cell(&person["email"]),
        output::cell(&person["name"]),
        output::cell(&person["role"]),
        state.to_owned(),
        second.to_owned(),
        output::cell(&person["last_login_at"]),
    ]
}

impl Disable {
    async fn run(&self) -> anyhow::Result<Ending> {
        let admin = self.of.open().await?;
        let email = self.email.trim().to_lowercase();
        let people = admin.items("/users").await?;
        let person = people.iter().find(|person| person["email"] == *email);
        let person = person.with_context(|| format!("the tenant has nobody {email:?}: see `regua user list`"))?;
        let body = json!({"name": person["name"], "role": person["role"], "active": false});
        admin.put(&format!("/users/{}", output::cell(&person["user_id"])), &body).await?;
        if self.of.form.json {
            output::json(&json!({"email": email, "active": false}))?;
        } else {
            output::line(format_args!("{email} is off, and all their logins have ended"))?;
        }
        Ok(Ending::Done)
    }
}
