//! Reads one contact of a batch. An invalid contact is rejected alone, with its first fault.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use regua_domain::{
    ContactName, MessageType, Money, OwnVariables, PhoneNumber, Reading, Text, VariablesError, Warning,
    is_damaged_number, present, read_due_date,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::fields::{Fields, read_text};
use super::variables::posted_variables;
use super::{MAX_ID_LENGTH, MAX_PARSED_BYTES};
use crate::http::{object_fault, text_fault, too_large};

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
    /// What was assumed, with the name of the field.
    pub(crate) warnings: Vec<(&'static str, Warning)>,
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
    /// The hash of all values but the external id. Two contacts without an id that have the same hash are the same debt.
    pub(crate) fn identity(&self) -> [u8; 32] {
        let (name, phone) = (self.name.as_str(), self.phone.as_e164());
        let (amount, variables) = (self.amount.map(Money::cents), self.variables.as_map());
        let all = serde_json::json!([name, phone, self.due_date, amount, variables, self.metadata]);
        Sha256::digest(all.to_string()).into()
    }

    /// Reads the members of a contact; none: the item of the list is no object. Due date and amount are required for
    /// overdue and upcoming messages, and optional for notifications.
    pub(crate) fn read(fields: Option<Fields<'_>>, message_type: MessageType) -> Result<Self, Refusal> {
        let Some(fields) = fields else {
            return Err(Refusal::new(WHOLE_CONTACT, "wrong_type", Text::of("contact-not-an-object")));
        };
        let mut read = Texts { fields: &fields, warnings: Vec::new() };
        let external_id = read.optional("external_id", read_id)?;
        let name = read.required("name", |name| {
            ContactName::read(name).map_err(|error| Refusal::new("name", error.code(), error.text()))
        })?;
        let phone = read.required("phone", |phone| {
            PhoneNumber::read(phone).map_err(|error| Refusal::new("phone", error.code(), error.text()))
        })?;
        let of_bill = message_type.concerns_a_bill();
        let due_date = read.text("due_date", of_bill, |date| {
            read_due_date(date).map_err(|error| Refusal::new("due_date", error.code(), error.text()))
        })?;
        let amount = read.text("amount", of_bill, |amount| {
            Money::read(amount).map_err(|error| Refusal::new("amount", error.code(), error.text()))
        })?;
        let mut warnings = read.warnings;
        let (own, metadata) = (variables(&fields)?, metadata(&fields)?);
        let variables = own.value;
        warnings.extend(own.warnings.into_iter().map(|warning| ("variables", warning)));
        let unknown_fields = fields.unknown;
        Ok(Self { external_id, name, phone, due_date, amount, variables, metadata, warnings, unknown_fields })
    }
}

/// Reads members that are texts.
struct Texts<'f, 'a> {
    fields: &'f Fields<'a>,
    warnings: Vec<(&'static str, Warning)>,
}

impl Texts<'_, '_> {
    fn optional<T>(&mut self, name: &'static str, read: impl FnOnce(&str) -> Parsed<Reading<T>>) -> Parsed<Option<T>> {
        self.text(name, false, read)
    }

    fn required<T>(&mut self, name: &'static str, read: impl FnOnce(&str) -> Parsed<Reading<T>>) -> Parsed<T> {
        self.text(name, true, read)?.ok_or_else(|| missing(name))
    }

    /// A text, or the digits of a number. Where nothing is left without blanks and words such as `NULL`, it is absent.
    fn text<T>(
        &mut self,
        name: &'static str,
        is_required: bool,
        read: impl FnOnce(&str) -> Parsed<Reading<T>>,
    ) -> Parsed<Option<T>> {
        let found = self.fields.get(name).map(|json| {
            let read = |text: &str| present(text).map(read).transpose();
            read_text(json, read).ok_or_else(|| Refusal::new(name, "wrong_type", Text::of("contact-string")))
        });
        let Some(reading) = found.transpose()?.transpose()?.flatten() else {
            return if is_required { Err(missing(name)) } else { Ok(None) };
        };
        self.warnings.extend(reading.warnings.into_iter().map(|warning| (name, warning)));
        Ok(Some(reading.value))
    }
}

fn read_id(id: &str) -> Parsed<Reading<String>> {
    if is_damaged_number(id) {
        return Err(Refusal::new("external_id", "damaged_number", Text::of("contact-damaged-id")));
    }
    match text_fault(id, MAX_ID_LENGTH) {
        None => Ok(Reading::certain(id.to_owned())),
        Some((code, text)) => Err(Refusal::new("external_id", code, text)),
    }
}

fn missing(name: &'static str) -> Refusal {
    Refusal::new(name, "required", Text::of("field-required"))
}

fn variables(fields: &Fields<'_>) -> Parsed<Reading<OwnVariables>> {
    let Some(json) = object(fields, "variables")? else { return Ok(Reading::certain(OwnVariables::default())) };
    let refusal = |error: VariablesError| {
        let field = error.name().map_or_else(|| "variables".to_owned(), |name| format!("variables.{name}"));
        Refusal::new(field, error.code(), error.text())
    };
    let posted = posted_variables(json).ok_or_else(|| wrong_type("variables"))?;
    posted.and_then(|posted| OwnVariables::read(&posted)).map_err(refusal)
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

/// An object, as JSON text. PHP writes an empty one as `[]`.
fn object<'a>(fields: &Fields<'a>, name: &'static str) -> Parsed<Option<&'a str>> {
    let is_empty_list = |json: &str| json.strip_prefix('[').is_some_and(|rest| rest.trim_start() == "]");
    let json = fields.get(name).filter(|json| !is_empty_list(json));
    if json.is_some_and(|json| !json.starts_with('{')) { Err(wrong_type(name)) } else { Ok(json) }
}

fn wrong_type(name: &'static str) -> Refusal {
    Refusal::new(name, "wrong_type", Text::of("field-wrong-type").with_text("type", Text::of("type-object")))
}
