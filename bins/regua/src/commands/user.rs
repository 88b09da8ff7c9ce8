//! `regua user`: invites, lists and disables users.

use anyhow::Context;
use clap::{Args, Subcommand};
use regua_domain::UserRole;
use serde_json::{Value, json};

use crate::client::TenantArguments;
use crate::exit_status::ExitStatus;
use crate::{display_name, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Invite a user, and print the invitation; it is shown this once
    #[command(
        after_help = "Example:\n  regua user create --tenant acme --email maria@acme.example --name 'Maria Souza' --role owner"
    )]
    Create(Create),
    /// List a tenant's users
    #[command(after_help = "Example:\n  regua user list --tenant acme")]
    List(TenantArguments),
    /// Disable a user, and end all the user's sessions
    #[command(after_help = "Example:\n  regua user disable --tenant acme maria@acme.example")]
    Disable(Disable),
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    target: TenantArguments,
    /// The e-mail address for the login
    #[arg(long)]
    email: String,
    /// The user's name
    #[arg(long, value_parser = display_name::parse)]
    name: String,
    /// The user's role: viewer, operator, owner or platform (docs/admin-api.md)
    #[arg(long)]
    role: UserRole,
}

#[derive(Args, Debug)]
pub(crate) struct Disable {
    #[command(flatten)]
    target: TenantArguments,
    /// The user's e-mail address
    email: String,
}

pub(crate) async fn run(command: &Command) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Create(create) => create.run().await,
        Command::List(target) => list(target).await,
        Command::Disable(disable) => disable.run().await,
    }
}

impl Create {
    async fn run(&self) -> anyhow::Result<ExitStatus> {
        let admin = self.target.open().await?;
        let body = json!({"email": self.email, "name": self.name, "role": self.role.as_str()});
        let invited = admin.post("/users", &body).await?;
        if self.target.format.json {
            output::json(&invited)?;
            return Ok(ExitStatus::Success);
        }
        let (tenant, email) = (&self.target.tenant, output::cell(&invited["user"]["email"]));
        output::line(output::cell(&invited["invitation"]))?;
        output::remark(format_args!(
            "This invitation is shown once, and is valid until {}. Pass it on; the user chooses a password with it:\n  \
             POST /api/v1/auth/invitation {{\"tenant\": \"{tenant}\", \"email\": \"{email}\", \"invitation\": \"…\", \
             \"password\": \"…\"}}",
            output::cell(&invited["invitation_expires_at"])
        ));
        Ok(ExitStatus::Success)
    }
}

async fn list(target: &TenantArguments) -> anyhow::Result<ExitStatus> {
    let users = target.open().await?.items("/users").await?;
    if target.format.json {
        output::json(&users)?;
        return Ok(ExitStatus::Success);
    }
    output::table(["EMAIL", "NAME", "ROLE", "STATE", "SECOND FACTOR", "LAST LOGIN"], users.iter().map(row))?;
    Ok(ExitStatus::Success)
}

fn row(user: &Value) -> [String; 6] {
    let state = match (user["active"] == true, user["invited"] == true) {
        (false, _) => "off",
        (true, true) => "invited",
        (true, false) => "active",
    };
    let second = if user["totp"] == true { "yes" } else { "no" };
    [
        output::cell(&user["email"]),
        output::cell(&user["name"]),
        output::cell(&user["role"]),
        state.to_owned(),
        second.to_owned(),
        output::cell(&user["last_login_at"]),
    ]
}

impl Disable {
    async fn run(&self) -> anyhow::Result<ExitStatus> {
        let admin = self.target.open().await?;
        let email = self.email.trim().to_lowercase();
        let users = admin.items("/users").await?;
        let user = users.iter().find(|user| user["email"] == *email);
        let user = user.with_context(|| format!("the tenant has no user {email:?}: see `regua user list`"))?;
        let body = json!({"name": user["name"], "role": user["role"], "active": false});
        admin.put(&format!("/users/{}", output::cell(&user["user_id"])), &body).await?;
        if self.target.format.json {
            output::json(&json!({"email": email, "active": false}))?;
        } else {
            output::line(format_args!("{email} is off, and all sessions of the user have ended"))?;
        }
        Ok(ExitStatus::Success)
    }
}
