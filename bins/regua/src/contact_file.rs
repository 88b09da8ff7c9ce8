//! Files of contacts as ERPs and spreadsheets write them: CSV or JSON. What stands in a field is not judged here; the API
//! does that, contact by contact.

mod rows;
mod text;

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use regua_domain::MessageType;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// A file that was read.
#[derive(Debug)]
pub(crate) struct ContactFile {
    /// The contacts as the API takes them.
    pub(crate) contacts: Vec<Contact>,
    /// What else a JSON file says of the batch, such as its name.
    pub(crate) fields: BTreeMap<String, Box<RawValue>>,
    /// What the reader shall know of how it was read.
    pub(crate) remarks: Vec<String>,
    /// What a batch of this file is called where nobody names it.
    pub(crate) default_id: String,
}

/// One contact with its place.
#[derive(Debug)]
pub(crate) struct Contact {
    /// Where it stands: the line of a CSV file, the number (from 1) in a JSON list.
    pub(crate) place: Place,
    /// The contact.
    pub(crate) json: Box<RawValue>,
}

/// Where a contact stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Counted from 1, the header being one.
    Line(u64),
    /// Counted from 1.
    Contact(usize),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Contact(number) => write!(f, "contact {number}"),
        }
    }
}

impl ContactFile {
    /// Reads a file's bytes. What begins with a brace or a bracket is JSON, everything else CSV.
    pub(crate) fn parse(bytes: &[u8], message_type: MessageType) -> anyhow::Result<Self> {
        let (text, remark) = text::decode(bytes)?;
        let is_json = text.trim_start().starts_with(['{', '[']);
        let (contacts, fields) =
            if is_json { json(&text)? } else { (rows::parse(&text, message_type)?, BTreeMap::new()) };
        if contacts.is_empty() {
            bail!("the file holds no contacts");
        }
        let default_id = default_id(bytes, message_type);
        Ok(Self { contacts, fields, remarks: remark.into_iter().collect(), default_id })
    }
}

/// The same for the same file and type, so that a command that is repeated is a replay and not a second charge.
fn default_id(bytes: &[u8], message_type: MessageType) -> String {
    let mut hash = Sha256::new();
    hash.update(message_type.as_str());
    hash.update([0]);
    hash.update(bytes);
    let digits: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("file-{digits}")
}

type Parsed = (Vec<Contact>, BTreeMap<String, Box<RawValue>>);

/// A request as the API takes it, or only its list of contacts.
fn json(text: &str) -> anyhow::Result<Parsed> {
    let mut fields = BTreeMap::new();
    let list = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).context("the file is no list of contacts")?
    } else {
        fields = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(text).context("the file is no JSON object")?;
        let list = fields.remove("contacts").context("the file has no \"contacts\"")?;
        serde_json::from_str::<Vec<Box<RawValue>>>(list.get()).context("\"contacts\" is no list")?
    };
    let numbered = list.into_iter().zip(1..);
    Ok((numbered.map(|(json, number)| Contact { place: Place::Contact(number), json }).collect(), fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> anyhow::Result<ContactFile> {
        ContactFile::parse(bytes, MessageType::Notification)
    }

    #[test]
    fn a_file_is_known_by_its_contents_and_its_type() {
        let id = |bytes: &[u8], message_type| default_id(bytes, message_type);
        assert_eq!(id(b"a", MessageType::Overdue), id(b"a", MessageType::Overdue));
        assert_ne!(id(b"a", MessageType::Overdue), id(b"b", MessageType::Overdue));
        assert_ne!(id(b"a", MessageType::Overdue), id(b"a", MessageType::Upcoming));
        assert_eq!(id(b"a", MessageType::Overdue).len(), "file-".len() + 32);
    }

    #[test]
    fn a_json_file_keeps_what_it_says_of_the_batch() {
        let file = parse(include_bytes!("../../../examples/send.json")).unwrap();
        assert_eq!(file.contacts.len(), 2);
        assert_eq!(file.contacts[1].place, Place::Contact(2));
        assert_eq!(file.fields["external_id"].get(), r#""ERP-2026-11-21-0001""#);
        let list = parse(br#"[{"name":"Ana","phone":"11","amount":150.00}]"#).unwrap();
        assert_eq!(list.contacts[0].json.get(), r#"{"name":"Ana","phone":"11","amount":150.00}"#, "as it was written");
    }

    #[test]
    fn a_file_without_contacts_is_refused() {
        for bytes in [&b""[..], b"\n\n", b"name,phone\n", b"[]", br#"{"contacts":[]}"#, br#"{"name":"x"}"#] {
            assert!(parse(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
