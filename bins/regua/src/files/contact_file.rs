//! Contact files of ERPs and spreadsheets: CSV or JSON. The API checks the values, contact by contact.

mod csv_rows;
mod encoding;

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use regua_domain::MessageType;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

#[derive(Debug)]
pub(crate) struct ContactFile {
    pub(crate) contacts: Vec<Contact>,
    /// The other fields of a JSON file, such as the batch's name.
    pub(crate) fields: BTreeMap<String, Box<RawValue>>,
    /// Remarks for the user on how the file was read.
    pub(crate) remarks: Vec<String>,
    /// The external id of a batch that has no other.
    pub(crate) default_id: String,
}

#[derive(Debug)]
pub(crate) struct Contact {
    pub(crate) place: Place,
    /// The contact in the form of the API.
    pub(crate) json: Box<RawValue>,
}

/// The place of a contact in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Line of a CSV file; the header is line 1.
    Line(u64),
    /// Number of the contact in a JSON list, from 1.
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
    /// Parses a file. A text that begins with a brace or a bracket is JSON, every other text is CSV.
    pub(crate) fn parse(bytes: &[u8], message_type: MessageType) -> anyhow::Result<Self> {
        let (text, remark) = encoding::decode(bytes)?;
        let is_json = text.trim_start().starts_with(['{', '[']);
        let (contacts, fields) =
            if is_json { parse_json(&text)? } else { (csv_rows::parse(&text, message_type)?, BTreeMap::new()) };
        if contacts.is_empty() {
            bail!("the file holds no contacts");
        }
        let default_id = default_id(bytes, message_type);
        Ok(Self { contacts, fields, remarks: remark.into_iter().collect(), default_id })
    }
}

/// The id depends on the file and the message type only, so that a repeated command is a replay, not a second batch.
fn default_id(bytes: &[u8], message_type: MessageType) -> String {
    let mut hash = Sha256::new();
    hash.update(message_type.as_str());
    hash.update([0]);
    hash.update(bytes);
    let digits: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("file-{digits}")
}

type ContactsAndFields = (Vec<Contact>, BTreeMap<String, Box<RawValue>>);

/// The body of a request to the API, or only its list of contacts.
fn parse_json(text: &str) -> anyhow::Result<ContactsAndFields> {
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
    fn default_id_depends_on_contents_and_message_type() {
        let id = |bytes: &[u8], message_type| default_id(bytes, message_type);
        assert_eq!(id(b"a", MessageType::Overdue), id(b"a", MessageType::Overdue));
        assert_ne!(id(b"a", MessageType::Overdue), id(b"b", MessageType::Overdue));
        assert_ne!(id(b"a", MessageType::Overdue), id(b"a", MessageType::Upcoming));
        assert_eq!(id(b"a", MessageType::Overdue).len(), "file-".len() + 32);
    }

    #[test]
    fn fields_of_a_json_file_are_kept() {
        let file = parse(include_bytes!("../../../../examples/send.json")).unwrap();
        assert_eq!(file.contacts.len(), 2);
        assert_eq!(file.contacts[1].place, Place::Contact(2));
        assert_eq!(file.fields["external_id"].get(), r#""ERP-2026-11-21-0001""#);
        let list = parse(br#"[{"name":"Ana","phone":"11","amount":150.00}]"#).unwrap();
        assert_eq!(
            list.contacts[0].json.get(),
            r#"{"name":"Ana","phone":"11","amount":150.00}"#,
            "the text of the file"
        );
    }

    #[test]
    fn file_without_contacts_is_refused() {
        for bytes in [&b""[..], b"\n\n", b"name,phone\n", b"[]", br#"{"contacts":[]}"#, br#"{"name":"x"}"#] {
            assert!(parse(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
