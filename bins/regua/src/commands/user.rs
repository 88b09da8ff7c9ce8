//! `regua user`: invites, lists and disables users.

use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use regua_domain::UserRole;
use regua_store::users::User;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::TenantArguments;
use crate::output::{instant, or_dash};
use crate::{display_name, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Invite a user, and print the invitation; it is shown this once
    #[command(
        after_help = "Example:\n  regua user create --tenant acme --email maria@acme.example --name 'Maria Souza' --role owner"
    )]
    Create {
        #[command(flatten)]
        target: TenantArguments,
        #[command(flatten)]
        user: NewUser,
    },
    /// List a tenant's users
    #[command(after_help = "Example:\n  regua user list --tenant acme")]
    List(TenantArguments),
    /// Disable a user, and end all the user's sessions
    #[command(after_help = "Example:\n  regua user disable --tenant acme maria@acme.example")]
    Disable {
        #[command(flatten)]
        target: TenantArguments,
        /// The user's e-mail address
        email: String,
    },
}

#[derive(Args, Debug, Serialize)]
pub(crate) struct NewUser {
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

#[derive(Deserialize, Serialize)]
struct Invited {
    invitation: String,
    invitation_expires_at: DateTime<Utc>,
    user: User,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Create { target, user } => create(&target, &user).await,
        Command::List(target) => {
            let users: Vec<User> = target.client().await?.items("/admin/users").await?;
            let header = ["EMAIL", "NAME", "ROLE", "STATE", "SECOND FACTOR", "LAST LOGIN"];
            target.format.listing(&users, header, row)
        }
        Command::Disable { target, email } => disable(&target, &email.trim().to_lowercase()).await,
    }
}

async fn create(target: &TenantArguments, user: &NewUser) -> anyhow::Result<ExitCode> {
    let invited: Invited = target.client().await?.post("/admin/users", user).await?;
    target.format.result(&invited, &invited.invitation)?;
    if !target.format.json {
        output::remark(format_args!(
            "This invitation is shown once, and is valid until {}. Pass it on; the user chooses a password with it:\n  \
             POST /api/v1/auth/invitation {{\"tenant\": \"{}\", \"email\": \"{}\", \"invitation\": \"…\", \
             \"password\": \"…\"}}",
            instant(invited.invitation_expires_at),
            target.tenant,
            invited.user.email
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(user: &User) -> [String; 6] {
    let state = match (user.active, user.invited) {
        (false, _) => "off",
        (true, true) => "invited",
        (true, false) => "active",
    };
    [
        user.email.to_string(),
        user.name.clone(),
        user.role.to_string(),
        state.to_owned(),
        if user.has_totp { "yes" } else { "no" }.to_owned(),
        or_dash(user.last_login_at.map(instant)),
    ]
}

async fn disable(target: &TenantArguments, email: &str) -> anyhow::Result<ExitCode> {
    let client = target.client().await?;
    let user = client.find("/admin/users", |user: &User| user.email.as_str() == email).await?;
    let user = user.with_context(|| format!("the tenant has no user {email:?}: see `regua user list`"))?;
    let body = json!({"name": user.name, "role": user.role, "active": false});
    let _changed: IgnoredAny = client.put(&format!("/admin/users/{}", user.user_id), &body).await?;
    let text = format_args!("{email} is off, and all sessions of the user have ended");
    target.format.result(&json!({"email": email, "active": false}), text)
}
