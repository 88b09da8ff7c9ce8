//! Reads one contact of a batch. An invalid contact is rejected alone, with its first fault.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use regua_domain::{ContactName, MessageType, Money, OwnVariables, PhoneNumber, Text, VariablesError, parse_due_date};
use serde_json::Value;

use super::fields::Fields;
use super::variables::posted_variables;
use super::{MAX_ID_LENGTH, MAX_PARSED_BYTES};
use crate::http::{object_fault, read_string, text_fault, too_large};

/// The `field` of a refusal of the whole contact.
pub(crate) const WHOLE_CONTACT: &str = "contact";
const MAX_METADATA_BYTES: usize = 10 << 10;

/// A contact whose fields are valid.
pub(crate) struct Contact {
    pub(crate) external_id: Option<String>,
    pub(crate) name: ContactName,
    pub(crate) phone: PhoneNumber,
    pub(crate) due_date: Option<NaiveDate>,
    pub(crate) amount: Option<Money>,
    /// The caller's variables for the template.
    pub(crate) variables: OwnVariables,
    /// JSON text.
    pub(crate) metadata: String,
    /// Names of fields that do not exist, as an answer may repeat them.
    pub(crate) unknown_fields: BTreeSet<String>,
}

/// Why a contact is rejected.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) field: String,
    pub(crate) code: &'static str,
    pub(crate) text: Text,
}

impl Refusal {
    pub(crate) fn new(field: impl Into<String>, code: &'static str, text: Text) -> Self {
        Self { field: field.into(), code, text }
    }
}

impl Contact {
    /// Reads the members of a contact; none: the item of the list is no object. Due date and amount are required for
    /// overdue and upcoming messages, and optional for notifications.
    pub(crate) fn read(fields: Option<Fields<'_>>, message_type: MessageType) -> Result<Self, Refusal> {
        let Some(fields) = fields else {
            return Err(Refusal::new(WHOLE_CONTACT, "wrong_type", Text::of("contact-not-an-object")));
        };
        let external_id = text(&fields, "external_id", |id| match text_fault(id, MAX_ID_LENGTH) {
            None => Ok(id.to_owned()),
            Some((code, text)) => Err(Refusal::new("external_id", code, text)),
        })?;
        let name = required(&fields, "name", |name| {
            ContactName::parse(name).map_err(|error| Refusal::new("name", error.code(), error.text()))
        })?;
        let phone = required(&fields, "phone", |phone| {
            PhoneNumber::parse(phone).map_err(|error| Refusal::new("phone", error.code(), error.text()))
        })?;
        let due_date = bill_field(&fields, "due_date", message_type, |date| {
            parse_due_date(date).map_err(|error| Refusal::new("due_date", error.code(), error.text()))
        })?;
        let amount = bill_field(&fields, "amount", message_type, |amount| {
            Money::parse(amount).map_err(|error| Refusal::new("amount", error.code(), error.text()))
        })?;
        let (variables, metadata) = (variables(&fields)?, metadata(&fields)?);
        let unknown_fields = fields.unknown;
        Ok(Self { external_id, name, phone, due_date, amount, variables, metadata, unknown_fields })
    }
}

fn variables(fields: &Fields<'_>) -> Result<OwnVariables, Refusal> {
    let Some(json) = object(fields, "variables")? else { return Ok(OwnVariables::default()) };
    let refusal = |error: VariablesError| {
        let field = error.name().map_or_else(|| "variables".to_owned(), |name| format!("variables.{name}"));
        Refusal::new(field, error.code(), error.text())
    };
    let posted = posted_variables(json).ok_or_else(|| wrong_type("variables"))?;
    posted.and_then(|posted| OwnVariables::parse(&posted)).map_err(refusal)
}

fn metadata(fields: &Fields<'_>) -> Result<String, Refusal> {
    let Some(sent) = object(fields, "metadata")? else { return Ok("{}".to_owned()) };
    let refusal = |(code, text)| Refusal::new("metadata", code, text);
    if sent.len() > MAX_PARSED_BYTES {
        return Err(refusal(too_large(sent.len(), MAX_METADATA_BYTES)));
    }
    let metadata: Value = serde_json::from_str(sent).map_err(|_| wrong_type("metadata"))?;
    // White space does not count.
    let json = metadata.to_string();
    object_fault(&metadata, json.len(), MAX_METADATA_BYTES).map_or(Ok(json), |fault| Err(refusal(fault)))
}

type Parsed<T> = Result<T, Refusal>;

/// A field that a message about a bill needs.
fn bill_field<T>(
    fields: &Fields<'_>,
    name: &'static str,
    message_type: MessageType,
    parse: impl FnOnce(&str) -> Parsed<T>,
) -> Parsed<Option<T>> {
    if message_type.concerns_a_bill() { required(fields, name, parse).map(Some) } else { text(fields, name, parse) }
}

fn required<T>(fields: &Fields<'_>, name: &'static str, parse: impl FnOnce(&str) -> Parsed<T>) -> Parsed<T> {
    text(fields, name, parse)?.ok_or_else(|| Refusal::new(name, "required", Text::of("field-required")))
}

/// A string is parsed where it stands: of a long one no copy is made.
fn text<T>(fields: &Fields<'_>, name: &'static str, parse: impl FnOnce(&str) -> Parsed<T>) -> Parsed<Option<T>> {
    let Some(json) = fields.get(name) else { return Ok(None) };
    let read = read_string(json, parse);
    read.ok_or_else(|| Refusal::new(name, "wrong_type", Text::of("contact-string")))?.map(Some)
}

/// An object, as JSON text.
fn object<'a>(fields: &Fields<'a>, name: &'static str) -> Parsed<Option<&'a str>> {
    let json = fields.get(name);
    if json.is_some_and(|json| !json.starts_with('{')) { Err(wrong_type(name)) } else { Ok(json) }
}

fn wrong_type(name: &'static str) -> Refusal {
    Refusal::new(name, "wrong_type", Text::of("field-wrong-type").with_text("type", Text::of("type-object")))
}
