//! `regua debtor`: shows and erases what is kept about one debtor, for whoever answers their request with the database at hand.

use clap::{Args, Subcommand};
use regua_boot::{Clock, DatabaseArguments, DebtorKeys, SecretArguments};
use regua_domain::{ContactId, PhoneNumber, TenantId};
use regua_store::audit_log::{self, Entry};
use regua_store::debtors::{self, Debtor};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::arguments::Ending;
use crate::{database, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print everything that is kept about a debtor, as JSON
    #[command(after_help = "Example:\n  regua debtor export --tenant acme --external-id cliente-4711")]
    Export(Who),
    /// Erase a debtor's data and keep the proof of sending; what waits for them is cancelled
    #[command(after_help = "Example:\n  regua debtor erase --tenant acme --external-id cliente-4711")]
    Erase(Who),
}

#[derive(Args, Debug)]
pub(crate) struct Who {
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    secrets: SecretArguments,
    /// The tenant's slug
    #[arg(long, value_name = "SLUG")]
    tenant: String,
    /// Their number, with or without country code and ninth digit
    #[arg(long, value_parser = phone, required_unless_present = "external_id", conflicts_with = "external_id")]
    phone: Option<PhoneNumber>,
    /// The external_id of their contacts
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(command: &Command) -> anyhow::Result<Ending> {
    match command {
        Command::Export(who) => export(who).await,
        Command::Erase(who) => erase(who).await,
    }
}

async fn export(who: &Who) -> anyhow::Result<Ending> {
    let keys = DebtorKeys::of(&who.secrets.keys()?);
    let pool = database::open(&who.database)?;
    let (mut contacts, mut remarks, mut webhooks, mut after) = (Vec::new(), Vec::new(), Vec::new(), None);
    loop {
        let mut transaction = pool.begin().await?;
        let (tenant, debtor) = who.debtor(&mut transaction, &keys).await?;
        let page = debtors::find(&mut transaction, tenant, &debtor, after).await?;
        let found = debtors::export(&mut transaction, tenant, &page.contacts).await?;
        let elsewhere = debtors::elsewhere(&mut transaction, tenant, &debtor, &page.contacts).await?;
        who.record(&mut transaction, tenant, "debtor.exported", &debtor, json!({ "contacts": found.len() })).await?;
        transaction.commit().await?;
        contacts.extend(found);
        add_new(&mut remarks, elsewhere.0);
        add_new(&mut webhooks, elsewhere.1);
        after = page.next;
        if after.is_none() {
            output::json(&json!({ "contacts": contacts, "remarks": remarks, "webhooks": webhooks }))?;
            return Ok(Ending::Done);
        }
    }
}

async fn erase(who: &Who) -> anyhow::Result<Ending> {
    let keys = DebtorKeys::of(&who.secrets.keys()?);
    let pool = database::open(&who.database)?;
    let (mut erased, mut cancelled, mut being_sent) = (0, 0, 0);
    let mut after: Option<ContactId> = None;
    loop {
        let mut transaction = pool.begin().await?;
        let (tenant, debtor) = who.debtor(&mut transaction, &keys).await?;
        let page = debtors::find(&mut transaction, tenant, &debtor, after).await?;
        let hashes = |phone: &str, external_id: Option<&str>| keys.hashes(tenant, phone, external_id);
        let now = Clock::system().now();
        let done = debtors::erase(&mut transaction, tenant, &debtor, &page.contacts, &hashes, now).await?;
        let noted = json!({ "erased": done.erased, "cancelled": done.cancelled, "being_sent": done.being_sent,
                            "reason": "requested" });
        who.record(&mut transaction, tenant, "debtor.erased", &debtor, noted).await?;
        transaction.commit().await?;
        erased += done.erased;
        cancelled += done.cancelled;
        being_sent += done.being_sent;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    output::json(&json!({ "erased": erased, "cancelled": cancelled, "being_sent": being_sent }))?;
    if being_sent > 0 {
        output::remark("What is being sent at this moment is erased by regua-periodic when its outcome is known.");
    }
    Ok(Ending::Done)
}

/// The same remark comes with every page.
fn add_new(all: &mut Vec<Value>, found: Vec<Value>) {
    for one in found {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

impl Who {
    async fn debtor(&self, conn: &mut PgConnection, keys: &DebtorKeys) -> anyhow::Result<(TenantId, Debtor)> {
        let tenant = database::tenant(conn, &self.tenant).await?;
        let debtor = match (&self.phone, &self.external_id) {
            (Some(phone), _) => keys.by_phone(tenant, phone),
            (None, id) => keys.by_external_id(tenant, id.as_deref().unwrap_or_default()),
        };
        Ok((tenant, debtor))
    }

    /// As the API does: how many, and of whom by a hash.
    async fn record(
        &self,
        conn: &mut PgConnection,
        tenant: TenantId,
        action: &str,
        debtor: &Debtor,
        mut after: Value,
    ) -> anyhow::Result<()> {
        after["by"] = if self.phone.is_some() { "phone" } else { "external_id" }.into();
        after["hash"] =
            debtor.hashes.first().map(|hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()).into();
        let name = std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned());
        let entry = Entry {
            actor_kind: "command_line",
            actor_id: None,
            actor_name: &name,
            client: None,
            request_id: "",
            action,
            object_id: None,
            before: None,
            after: Some(&after),
        };
        audit_log::write(conn, tenant, &entry, Clock::system().now()).await?;
        Ok(())
    }
}

/// Without the number, which clap would repeat together with the error.
fn phone(text: &str) -> Result<PhoneNumber, String> {
    PhoneNumber::parse(text).map_err(|error| error.explain(regua_domain::Language::English))
}
