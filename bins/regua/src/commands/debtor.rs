//! `regua debtor`: shows and erases the data about one debtor.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use regua_domain::{ErasureReason, PhoneNumber};
use regua_evolution::AllowedNetworks;
use regua_secrets::SecretArguments;
use serde_json::{Map, Value, json};

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
        #[arg(long, default_value = "requested", value_parser = PossibleValuesParser::new(ErasureReason::ALL.map(ErasureReason::as_str)))]
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

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Export(debtor) => output::json(&debtor.search("export", Map::new()).await?)?,
        Command::Erase { debtor, reason } => {
            let all = debtor.search("erase", Map::from_iter([("reason".to_owned(), reason.into())])).await?;
            output::json(&all)?;
            if all.get("being_sent").is_some_and(|count| *count != 0) {
                output::remark(
                    "regua-periodic erases the messages that are being sent now when their outcome is known.",
                );
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl DebtorArguments {
    /// Repeats a request, which names the debtor, until the search is complete. A debtor is found by a keyed hash, so an
    /// API inside this process needs the secret keys.
    async fn search(&self, action: &str, mut request: Map<String, Value>) -> anyhow::Result<Map<String, Value>> {
        let client = self.target.client_with(Some(&self.secrets), AllowedNetworks::default()).await?;
        request.insert("phone".to_owned(), self.phone.as_ref().map(PhoneNumber::as_e164).into());
        request.insert("external_id".to_owned(), self.external_id.as_deref().into());
        let mut all = Map::new();
        loop {
            let mut part: Map<String, Value> = client.post(&format!("/admin/debtors/{action}"), &request).await?;
            let cursor = part.remove("next_cursor").filter(|cursor| !cursor.is_null());
            add(&mut all, part);
            let Some(cursor) = cursor else { return Ok(all) };
            request.insert("cursor".to_owned(), cursor);
        }
    }
}

/// Adds what one request found: counts, and lists. Every part repeats the same remarks.
fn add(all: &mut Map<String, Value>, part: Map<String, Value>) {
    for (name, found) in part {
        let sum = all.entry(name).or_insert_with(|| if found.is_array() { json!([]) } else { json!(0) });
        match (sum, found) {
            (Value::Array(all), Value::Array(found)) => {
                for one in found {
                    if !all.contains(&one) {
                        all.push(one);
                    }
                }
            }
            (sum, found) => *sum = (sum.as_u64().unwrap_or(0) + found.as_u64().unwrap_or(0)).into(),
        }
    }
}

/// The message omits the number, because clap prints the value with it.
fn phone(text: &str) -> Result<PhoneNumber, String> {
    PhoneNumber::parse(text).map_err(|error| regua_api::render_text(&error.text(), regua_domain::Language::English))
}
