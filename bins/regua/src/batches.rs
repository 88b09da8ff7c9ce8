//! From a file to the batches that are posted: at most 10,000 contacts each, with ids that are the same each time.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, bail};
use chrono::{DateTime, FixedOffset};
use regua_domain::MessageType;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::contact_file::{Contact, ContactFile, Place};

/// Contacts that the API takes at once.
const MOST_CONTACTS: usize = 10_000;
/// What the API takes as an external id, less what the number of a part adds.
const LONGEST_ID: usize = 190;

/// What is said of a batch besides its contacts; each goes before what the file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The replay guard.
    pub(crate) external_id: Option<String>,
    /// The template's name.
    pub(crate) template: Option<String>,
    /// The instance's name.
    pub(crate) instance: Option<String>,
    /// Not before then.
    pub(crate) scheduled_for: Option<DateTime<FixedOffset>>,
    /// Show what would be sent, and send nothing.
    pub(crate) dry_run: bool,
}

/// One batch as it is posted.
#[derive(Debug, Serialize)]
pub(crate) struct Batch {
    /// Its id.
    pub(crate) external_id: String,
    #[serde(flatten)]
    fields: BTreeMap<String, Box<RawValue>>,
    contacts: Vec<Box<RawValue>>,
    /// Where each contact stands in the file.
    #[serde(skip)]
    places: Vec<Place>,
}

impl Batch {
    /// Where the contact with this index in the batch stands in the file.
    pub(crate) fn place(&self, index: usize) -> Option<Place> {
        self.places.get(index).copied()
    }
}

/// Cuts a file into batches. One batch has the id itself, several have `<id>-1`, `<id>-2` and so on.
pub(crate) fn of(file: ContactFile, options: &Options, message_type: MessageType) -> anyhow::Result<Vec<Batch>> {
    let ContactFile { contacts, mut fields, default_id, .. } = file;
    let of_file = fields.remove("external_id").map(|id| serde_json::from_str(id.get())).transpose();
    let of_file: Option<String> = of_file.context("\"external_id\" is no string")?;
    let id = options.external_id.clone().or(of_file).unwrap_or(default_id);
    if id.trim().is_empty() || id.chars().count() > LONGEST_ID {
        bail!("an external id has 1 to {LONGEST_ID} characters");
    }
    override_fields(&mut fields, options)?;
    if contacts.len() > MOST_CONTACTS {
        refuse_doubled(&contacts)?;
    }
    let mut left = contacts.into_iter().peekable();
    let mut batches: Vec<Batch> = Vec::new();
    while left.peek().is_some() {
        let (places, contacts) = left.by_ref().take(MOST_CONTACTS).map(|Contact { place, json }| (place, json)).unzip();
        batches.push(Batch { external_id: id.clone(), fields: fields.clone(), contacts, places });
    }
    if batches.len() > 1 {
        let parts = batches.len();
        for (batch, part) in batches.iter_mut().zip(1..) {
            batch.external_id = format!("{id}-{part}");
            let name = name_of_part(&batch.fields, message_type, &id);
            batch.fields.insert("name".to_owned(), to_raw_value(&format!("{name} ({part}/{parts})"))?);
        }
    }
    Ok(batches)
}

/// Within a batch the API refuses a contact whose external id was there before; across batches nobody else would see it,
/// and a debtor would be written to twice.
fn refuse_doubled(contacts: &[Contact]) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Known {
        external_id: Option<String>,
    }
    let mut seen = HashMap::new();
    for contact in contacts {
        let known = serde_json::from_str::<Known>(contact.json.get()).ok();
        let Some(id) = known.and_then(|known| known.external_id) else { continue };
        if let Some(before) = seen.insert(id.clone(), contact.place) {
            bail!("the external_id {id:?} stands twice, at {before} and {}: take one of them out", contact.place);
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
    set("scheduled_for", options.scheduled_for.as_ref().map(to_raw_value).transpose()?);
    set("dry_run", options.dry_run.then(|| to_raw_value(&true)).transpose()?);
    Ok(())
}

fn name_of_part(fields: &BTreeMap<String, Box<RawValue>>, message_type: MessageType, id: &str) -> String {
    let named = fields.get("name").and_then(|name| serde_json::from_str::<String>(name.get()).ok());
    named.unwrap_or_else(|| format!("{message_type} {id}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn file(contacts: usize) -> ContactFile {
        let rows: String = (0..contacts).map(|n| format!("Ana {n},11\n")).collect();
        ContactFile::parse(format!("name,phone\n{rows}").as_bytes(), MessageType::Notification).unwrap()
    }

    fn split(contacts: usize, options: &Options) -> Vec<Batch> {
        of(file(contacts), options, MessageType::Notification).unwrap()
    }

    fn posted(batch: &Batch) -> Value {
        serde_json::to_value(batch).unwrap()
    }

    #[test]
    fn a_file_that_fits_is_one_batch_with_the_plain_id() {
        let options = Options { external_id: Some("ERP-1".to_owned()), ..Options::default() };
        let batches = split(10_000, &options);
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].external_id, "ERP-1");
        assert_eq!(posted(&batches[0])["name"], Value::Null);
    }

    #[test]
    fn a_longer_file_is_cut_and_every_contact_keeps_its_line() {
        let batches = split(20_001, &Options { external_id: Some("ERP-1".to_owned()), ..Options::default() });
        let ids: Vec<_> = batches.iter().map(|batch| (batch.external_id.as_str(), batch.contacts.len())).collect();
        assert_eq!(ids, [("ERP-1-1", 10_000), ("ERP-1-2", 10_000), ("ERP-1-3", 1)]);
        assert_eq!(batches[1].place(0), Some(Place::Line(10_002)));
        assert_eq!(batches[2].place(0), Some(Place::Line(20_002)));
        assert_eq!(posted(&batches[1])["name"], "notification ERP-1 (2/3)");
        assert_eq!(posted(&batches[2])["contacts"], json!([{"name": "Ana 20000", "phone": "11"}]));
    }

    #[test]
    fn an_external_id_that_is_in_two_batches_refuses_the_file() {
        let rows: String = (0..10_001).map(|n| format!("NF-{},Ana,11\n", n % 10_000)).collect();
        let text = format!("external_id,name,phone\n{rows}");
        let file = ContactFile::parse(text.as_bytes(), MessageType::Notification).unwrap();
        let error = of(file, &Options::default(), MessageType::Notification).unwrap_err().to_string();
        assert!(error.contains("NF-0") && error.contains("line 2") && error.contains("line 10002"), "{error}");
    }

    #[test]
    fn the_same_file_has_the_same_id_each_time() {
        let id = || split(3, &Options::default())[0].external_id.clone();
        assert_eq!(id(), id());
        assert!(id().starts_with("file-"));
    }

    #[test]
    fn what_is_asked_for_goes_before_what_the_file_says() {
        let text = br#"{"external_id":"A","template":"t1","metadata":{"filial":"1"},"contacts":[{"name":"Ana"}]}"#;
        let file = || ContactFile::parse(text, MessageType::Overdue).unwrap();
        let plain = of(file(), &Options::default(), MessageType::Overdue).unwrap();
        assert_eq!(
            posted(&plain[0]),
            json!({"external_id": "A", "template": "t1", "metadata": {"filial": "1"}, "contacts": [{"name": "Ana"}]})
        );
        let options =
            Options { external_id: Some("B".into()), template: Some("t2".into()), dry_run: true, ..Options::default() };
        let other = posted(&of(file(), &options, MessageType::Overdue).unwrap()[0]);
        assert_eq!(
            (&other["external_id"], &other["template"], &other["dry_run"]),
            (&json!("B"), &json!("t2"), &json!(true))
        );
    }
}
