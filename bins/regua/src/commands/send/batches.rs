//! Splits a contact file into batches of at most 10,000 contacts. The same file yields the same external ids.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, bail};
use chrono::{DateTime, FixedOffset};
use clap::Args;
use regua_domain::MessageType;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::files::contact_file::{Contact, ContactFile, Place};

/// The API's limit for one batch.
const MAX_CONTACTS: usize = 10_000;
/// The API's limit, less the suffix of a part, in characters.
const MAX_ID_LENGTH: usize = 190;

/// Fields of the batches. They override those of the file.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// The batch's id, never used again; absent: made from the file's contents and the type
    #[arg(long, value_name = "ID")]
    pub(crate) external_id: Option<String>,
    /// The template's name; absent: the type's default
    #[arg(long, value_name = "NAME")]
    pub(crate) template: Option<String>,
    /// The instance's name; absent: the type's default
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,
    /// Earliest time of sending, such as 2026-11-23T09:00:00-03:00
    #[arg(long, value_name = "RFC3339")]
    pub(crate) schedule: Option<DateTime<FixedOffset>>,
    /// Show the messages without sending them
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
}

/// The body of one `POST /send/…`.
#[derive(Debug, Serialize)]
pub(crate) struct Batch {
    pub(crate) external_id: String,
    #[serde(flatten)]
    fields: BTreeMap<String, Box<RawValue>>,
    contacts: Vec<Box<RawValue>>,
    /// The place of each contact in the file.
    #[serde(skip)]
    places: Vec<Place>,
}

impl Batch {
    /// The place in the file of the contact with this index.
    pub(crate) fn place(&self, index: usize) -> Option<Place> {
        self.places.get(index).copied()
    }
}

/// A single batch has the id itself, several have `<id>-1`, `<id>-2` and so on.
pub(crate) fn split(file: ContactFile, options: &Options, message_type: MessageType) -> anyhow::Result<Vec<Batch>> {
    let ContactFile { contacts, mut fields, default_id, .. } = file;
    let file_id = fields.remove("external_id").map(|id| serde_json::from_str(id.get())).transpose();
    let file_id: Option<String> = file_id.context("\"external_id\" is no string")?;
    let id = options.external_id.clone().or(file_id).unwrap_or(default_id);
    if id.trim().is_empty() || id.chars().count() > MAX_ID_LENGTH {
        bail!("an external id has 1 to {MAX_ID_LENGTH} characters");
    }
    override_fields(&mut fields, options)?;
    if contacts.len() > MAX_CONTACTS {
        refuse_duplicates(&contacts)?;
    }
    let parts = contacts.len().div_ceil(MAX_CONTACTS);
    let mut left = contacts.into_iter();
    let mut batches = Vec::with_capacity(parts);
    for part in 1..=parts {
        let (places, contacts) = left.by_ref().take(MAX_CONTACTS).map(|Contact { place, json }| (place, json)).unzip();
        let mut batch = Batch { external_id: id.clone(), fields: fields.clone(), contacts, places };
        if parts > 1 {
            let name = base_name(&fields, message_type, &id);
            batch.external_id = format!("{id}-{part}");
            batch.fields.insert("name".to_owned(), to_raw_value(&format!("{name} ({part}/{parts})"))?);
        }
        batches.push(batch);
    }
    Ok(batches)
}

/// The API refuses a repeated external id within one batch only. Across batches, a debtor would get two messages.
fn refuse_duplicates(contacts: &[Contact]) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Identified {
        external_id: Option<String>,
    }
    let mut seen = HashMap::new();
    for contact in contacts {
        let identified = serde_json::from_str::<Identified>(contact.json.get()).ok();
        let Some(id) = identified.and_then(|identified| identified.external_id) else { continue };
        if let Some(first) = seen.insert(id.clone(), contact.place) {
            bail!("the file has the external_id {id:?} twice, at {first} and {}: remove one", contact.place);
        }
    }
    Ok(())
}

fn override_fields(fields: &mut BTreeMap<String, Box<RawValue>>, options: &Options) -> anyhow::Result<()> {
    let mut set = |name: &str, value: Option<Box<RawValue>>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    set("template", options.template.as_ref().map(to_raw_value).transpose()?);
    set("instance", options.instance.as_ref().map(to_raw_value).transpose()?);
    set("scheduled_for", options.schedule.as_ref().map(to_raw_value).transpose()?);
    set("dry_run", options.dry_run.then(|| to_raw_value(&true)).transpose()?);
    Ok(())
}

fn base_name(fields: &BTreeMap<String, Box<RawValue>>, message_type: MessageType, id: &str) -> String {
    let name = fields.get("name").and_then(|name| serde_json::from_str::<String>(name.get()).ok());
    name.unwrap_or_else(|| format!("{message_type} {id}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn file(contacts: usize) -> ContactFile {
        let rows: String = (0..contacts).map(|n| format!("Ana {n},11\n")).collect();
        ContactFile::parse(format!("name,phone\n{rows}").as_bytes(), MessageType::Notification).unwrap()
    }

    fn split_file(contacts: usize, options: &Options) -> Vec<Batch> {
        split(file(contacts), options, MessageType::Notification).unwrap()
    }

    fn posted(batch: &Batch) -> Value {
        serde_json::to_value(batch).unwrap()
    }

    #[test]
    fn file_within_the_limit_is_one_batch_with_the_plain_id() {
        let options = Options { external_id: Some("ERP-1".to_owned()), ..Options::default() };
        let batches = split_file(10_000, &options);
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].external_id, "ERP-1");
        assert_eq!(posted(&batches[0])["name"], Value::Null);
    }

    #[test]
    fn contacts_of_a_split_file_keep_their_lines() {
        let batches = split_file(20_001, &Options { external_id: Some("ERP-1".to_owned()), ..Options::default() });
        let ids: Vec<_> = batches.iter().map(|batch| (batch.external_id.as_str(), batch.contacts.len())).collect();
        assert_eq!(ids, [("ERP-1-1", 10_000), ("ERP-1-2", 10_000), ("ERP-1-3", 1)]);
        assert_eq!(batches[1].place(0), Some(Place::Line(10_002)));
        assert_eq!(batches[2].place(0), Some(Place::Line(20_002)));
        assert_eq!(posted(&batches[1])["name"], "notification ERP-1 (2/3)");
        assert_eq!(posted(&batches[2])["contacts"], json!([{"name": "Ana 20000", "phone": "11"}]));
    }

    #[test]
    fn external_id_in_two_batches_refuses_the_file() {
        let rows: String = (0..10_001).map(|n| format!("NF-{},Ana,11\n", n % 10_000)).collect();
        let text = format!("external_id,name,phone\n{rows}");
        let file = ContactFile::parse(text.as_bytes(), MessageType::Notification).unwrap();
        let error = split(file, &Options::default(), MessageType::Notification).unwrap_err().to_string();
        assert!(error.contains("NF-0") && error.contains("line 2") && error.contains("line 10002"), "{error}");
    }

    #[test]
    fn default_id_depends_on_the_file_alone() {
        let id = || split_file(3, &Options::default())[0].external_id.clone();
        assert_eq!(id(), id());
        assert!(id().starts_with("file-"));
    }

    #[test]
    fn options_override_the_fields_of_the_file() {
        let text = br#"{"external_id":"A","template":"t1","metadata":{"filial":"1"},"contacts":[{"name":"Ana"}]}"#;
        let file = || ContactFile::parse(text, MessageType::Overdue).unwrap();
        let plain = split(file(), &Options::default(), MessageType::Overdue).unwrap();
        assert_eq!(
            posted(&plain[0]),
            json!({"external_id": "A", "template": "t1", "metadata": {"filial": "1"}, "contacts": [{"name": "Ana"}]})
        );
        let options =
            Options { external_id: Some("B".into()), template: Some("t2".into()), dry_run: true, ..Options::default() };
        let other = posted(&split(file(), &options, MessageType::Overdue).unwrap()[0]);
        assert_eq!(
            (&other["external_id"], &other["template"], &other["dry_run"]),
            (&json!("B"), &json!("t2"), &json!(true))
        );
    }
}
