//! `regua debtor`: shows and erases the data about one debtor.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use regua_domain::PhoneNumber;
use regua_evolution::AllowedNetworks;
use regua_secrets::SecretArguments;
use serde_json::{Value, json};

use crate::client::{AdminClient, GatewayAccess, TenantArguments};
use crate::exit_status::ExitStatus;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print all data about a debtor, as JSON
    #[command(after_help = "Example:\n  regua debtor export --tenant acme --external-id cliente-4711")]
    Export(DebtorArguments),
    /// Erase a debtor's data and keep the proof of sending; pending messages to the debtor are cancelled
    #[command(
        after_help = "Example:\n  regua debtor erase --tenant acme --external-id cliente-4711 --reason consent_withdrawn"
    )]
    Erase(Erase),
}

#[derive(Args, Debug)]
pub(crate) struct DebtorArguments {
    #[command(flatten)]
    target: TenantArguments,
    #[command(flatten)]
    secrets: SecretArguments,
    /// The debtor's phone number, with or without country code and ninth digit
    #[arg(long, value_parser = phone, required_unless_present = "external_id", conflicts_with = "external_id")]
    phone: Option<PhoneNumber>,
    /// The external_id of the debtor's contacts
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Erase {
    #[command(flatten)]
    debtor: DebtorArguments,
    /// For the audit log
    #[arg(long, default_value = "requested", value_parser = PossibleValuesParser::new(regua_api::ERASURE_REASONS))]
    reason: String,
}

pub(crate) async fn run(command: &Command) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Export(debtor) => debtor.export().await,
        Command::Erase(erase) => erase.run().await,
    }
}

impl DebtorArguments {
    /// A debtor is found by a keyed hash, so an API inside this process needs the secret keys.
    async fn open(&self) -> anyhow::Result<AdminClient> {
        let gateways = || Ok(GatewayAccess { secrets: self.secrets.keys()?, networks: AllowedNetworks::default() });
        self.target.open_with(gateways).await
    }

    fn body(&self) -> Value {
        match &self.phone {
            Some(phone) => json!({"phone": phone.as_e164()}),
            None => json!({"external_id": self.external_id}),
        }
    }

    async fn export(&self) -> anyhow::Result<ExitStatus> {
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
        Ok(ExitStatus::Success)
    }
}

/// Every page repeats the same remarks.
fn add_new(all: &mut Value, found: &Value) {
    let Some(all) = all.as_array_mut() else { return };
    for one in found.as_array().into_iter().flatten() {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
}

impl Erase {
    async fn run(&self) -> anyhow::Result<ExitStatus> {
        let (admin, mut body) = (self.debtor.open().await?, self.debtor.body());
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
            output::remark("regua-periodic erases the messages that are being sent now when their outcome is known.");
        }
        Ok(ExitStatus::Success)
    }
}

/// The message omits the number, because clap prints the value with it.
fn phone(text: &str) -> Result<PhoneNumber, String> {
    PhoneNumber::parse(text).map_err(|error| regua_api::render_text(&error.text(), regua_domain::Language::English))
}
