//! `regua debtor`: shows and erases what is kept about one debtor, for whoever answers their request.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use regua_boot::SecretArguments;
use regua_domain::PhoneNumber;
use regua_evolution::AllowedNetworks;
use serde_json::{Value, json};

use crate::admin::{Admin, Gateways, Of};
use crate::arguments::Ending;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print everything that is kept about a debtor, as JSON
    #[command(after_help = "Example:\n  regua debtor export --tenant acme --external-id cliente-4711")]
    Export(Who),
    /// Erase a debtor's data and keep the proof of sending; what waits for them is cancelled
    #[command(
        after_help = "Example:\n  regua debtor erase --tenant acme --external-id cliente-4711 --reason consent_withdrawn"
    )]
    Erase(Erase),
}

#[derive(Args, Debug)]
pub(crate) struct Who {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    secrets: SecretArguments,
    /// Their number, with or without country code and ninth digit
    #[arg(long, value_parser = phone, required_unless_present = "external_id", conflicts_with = "external_id")]
    phone: Option<PhoneNumber>,
    /// The external_id of their contacts
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Erase {
    #[command(flatten)]
    who: Who,
    /// For the audit log
    #[arg(long, default_value = "requested", value_parser = PossibleValuesParser::new(regua_api::ERASURE_REASONS))]
    reason: String,
}

/// Runs the command.
pub(crate) async fn run(command: &Command) -> anyhow::Result<Ending> {
    match command {
        Command::Export(who) => who.export().await,
        Command::Erase(erase) => erase.run().await,
    }
}

impl Who {
    /// What inside of this process finds a debtor is a hash, and that needs the keys.
    async fn open(&self) -> anyhow::Result<Admin> {
        let gateways = || Ok(Gateways { secrets: self.secrets.keys()?, networks: AllowedNetworks::default() });
        self.of.open_with(gateways).await
    }

    fn body(&self) -> Value {
        match &self.phone {
            Some(phone) => json!({"phone": phone.as_e164()}),
            None => json!({"external_id": self.external_id}),
        }
    }

    async fn export(&self) -> anyhow::Result<Ending> {
        let (admin, mut body) = (self.open().await?, self.body());
        let mut all = json!({"contacts": [], "remarks": [], "webhooks": []});
        loop {
            let page = admin.post("/debtors/export", &body).await?;
            for (name, all) in all.as_object_mut().into_iter().flatten() {
                add_new(all, &page[name]);
            }
            if page["next_cursor"].is_null() {
                break;
            }
            body["cursor"] = page["next_cursor"].clone();
        }
        output::json(&all)?;
        Ok(Ending::Done)
    }
}

/// The same remark comes with every page.
fn add_new(all: &mut Value, found: &Value) {
    let Some(all) = all.as_array_mut() else { return };
    for one in found.as_array().into_iter().flatten() {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
}

impl Erase {
    async fn run(&self) -> anyhow::Result<Ending> {
        let (admin, mut body) = (self.who.open().await?, self.who.body());
        body["reason"] = self.reason.as_str().into();
        let mut all = json!({"erased": 0, "cancelled": 0, "being_sent": 0, "erased_before": 0});
        loop {
            let page = admin.post("/debtors/erase", &body).await?;
            for (name, count) in all.as_object_mut().into_iter().flatten() {
                *count = (count.as_u64().unwrap_or_default() + page[name].as_u64().unwrap_or_default()).into();
            }
            if page["next_cursor"].is_null() {
                break;
            }
            body["cursor"] = page["next_cursor"].clone();
        }
        output::json(&all)?;
        if all["being_sent"] != 0 {
            output::remark("What is being sent at this moment is erased by regua-periodic when its outcome is known.");
        }
        Ok(Ending::Done)
    }
}

/// Without the number, which clap would repeat together with the error.
fn phone(text: &str) -> Result<PhoneNumber, String> {
    PhoneNumber::parse(text).map_err(|error| error.explain(regua_domain::Language::English))
}
