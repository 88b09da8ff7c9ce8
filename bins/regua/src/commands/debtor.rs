//! `regua debtor`: shows and erases the data about one debtor.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use regua_domain::PhoneNumber;
use regua_evolution::AllowedNetworks;
use regua_secrets::SecretArguments;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::TenantArguments;
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
    Erase {
        #[command(flatten)]
        debtor: DebtorArguments,
        /// For the audit log
        #[arg(long, default_value = "requested", value_parser = PossibleValuesParser::new(regua_api::ERASURE_REASONS))]
        reason: String,
    },
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

#[derive(Serialize)]
struct Request<'a> {
    phone: Option<String>,
    external_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    cursor: Option<String>,
}

/// What one request found. The search goes on at the cursor.
#[derive(Deserialize)]
struct Part<T> {
    #[serde(flatten)]
    found: T,
    next_cursor: Option<String>,
}

#[derive(Default, Deserialize, Serialize)]
struct Exported {
    contacts: Vec<Value>,
    remarks: Vec<Value>,
    webhooks: Vec<Value>,
}

#[derive(Default, Deserialize, Serialize)]
struct Erased {
    being_sent: u64,
    cancelled: u64,
    erased: u64,
    erased_before: u64,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Export(debtor) => {
            let mut all = Exported::default();
            debtor.search("export", None, |part: Exported| all.add(part)).await?;
            output::json(&all)?;
        }
        Command::Erase { debtor, reason } => {
            let mut all = Erased::default();
            debtor.search("erase", Some(&reason), |part: Erased| all.add(&part)).await?;
            output::json(&all)?;
            if all.being_sent != 0 {
                output::remark(
                    "regua-periodic erases the messages that are being sent now when their outcome is known.",
                );
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl DebtorArguments {
    /// A debtor is found by a keyed hash, so an API inside this process needs the secret keys.
    async fn search<T: DeserializeOwned>(
        &self,
        action: &str,
        reason: Option<&str>,
        mut add: impl FnMut(T),
    ) -> anyhow::Result<()> {
        let client = self.target.client_with(Some(&self.secrets), AllowedNetworks::default()).await?;
        let phone = self.phone.as_ref().map(|phone| phone.as_e164().to_owned());
        let mut request = Request { phone, external_id: self.external_id.as_deref(), reason, cursor: None };
        loop {
            let part: Part<T> = client.post(&format!("/admin/debtors/{action}"), &request).await?;
            add(part.found);
            if part.next_cursor.is_none() {
                return Ok(());
            }
            request.cursor = part.next_cursor;
        }
    }
}

impl Exported {
    /// Every part repeats the same remarks.
    fn add(&mut self, part: Self) {
        let lists = [
            (&mut self.contacts, part.contacts),
            (&mut self.remarks, part.remarks),
            (&mut self.webhooks, part.webhooks),
        ];
        for (all, found) in lists {
            for one in found {
                if !all.contains(&one) {
                    all.push(one);
                }
            }
        }
    }
}

impl Erased {
    const fn add(&mut self, part: &Self) {
        self.being_sent += part.being_sent;
        self.cancelled += part.cancelled;
        self.erased += part.erased;
        self.erased_before += part.erased_before;
    }
}

/// The message omits the number, because clap prints the value with it.
fn phone(text: &str) -> Result<PhoneNumber, String> {
    PhoneNumber::parse(text).map_err(|error| regua_api::render_text(&error.text(), regua_domain::Language::English))
}
