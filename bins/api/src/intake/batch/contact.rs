//! Reads one contact of a batch. An invalid contact is rejected alone, with its first fault.

use chrono::NaiveDate;
use regua_domain::{ContactName, MessageType, Money, OwnVariables, PhoneNumber, Text, parse_due_date};
use serde_json::{Map, Value};

use super::MAX_ID_LENGTH;
use crate::http::{object_fault, text_fault};

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
    /// Names of fields that do not exist.
    pub(crate) unknown_fields: Vec<String>,
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
    /// Reads an item of the list; none is an item that is not valid JSON. Due date and amount are required for overdue
    /// and upcoming messages, and optional for notifications.
    pub(crate) fn read(item: Option<Value>, message_type: MessageType) -> Result<Self, Refusal> {
        let Some(Value::Object(mut fields)) = item else {
            return Err(Refusal::new(WHOLE_CONTACT, "wrong_type", Text::of("contact-not-an-object")));
        };
        let external_id = text(&mut fields, "external_id")?;
        if let Some((code, text)) = external_id.as_ref().and_then(|id| text_fault(id, MAX_ID_LENGTH)) {
            return Err(Refusal::new("external_id", code, text));
        }
        let name = required(&mut fields, "name")?;
        let name = ContactName::parse(&name).map_err(|error| Refusal::new("name", error.code(), error.text()))?;
        let phone = required(&mut fields, "phone")?;
        let phone = PhoneNumber::parse(&phone).map_err(|error| Refusal::new("phone", error.code(), error.text()))?;
        let bill_field = |fields: &mut _, name| {
            if message_type.concerns_a_bill() { required(fields, name).map(Some) } else { text(fields, name) }
        };
        let due_date = bill_field(&mut fields, "due_date")?.map(|text| parse_due_date(&text));
        let due_date = due_date.transpose().map_err(|error| Refusal::new("due_date", error.code(), error.text()))?;
        let amount = bill_field(&mut fields, "amount")?.map(|text| Money::parse(&text));
        let amount = amount.transpose().map_err(|error| Refusal::new("amount", error.code(), error.text()))?;
        let (variables, metadata) = (variables(&mut fields)?, metadata(&mut fields)?);
        let unknown_fields = fields.into_iter().map(|(name, _)| name).collect();
        Ok(Self { external_id, name, phone, due_date, amount, variables, metadata, unknown_fields })
    }
}

fn variables(fields: &mut Map<String, Value>) -> Result<OwnVariables, Refusal> {
    OwnVariables::parse(&object(fields, "variables")?).map_err(|error| {
        let field = error.name().map_or_else(|| "variables".to_owned(), |name| format!("variables.{name}"));
        Refusal::new(field, error.code(), error.text())
    })
}

fn metadata(fields: &mut Map<String, Value>) -> Result<String, Refusal> {
    let metadata = Value::Object(object(fields, "metadata")?);
    let json = metadata.to_string();
    match object_fault(&metadata, json.len(), MAX_METADATA_BYTES) {
        None => Ok(json),
        Some((code, text)) => Err(Refusal::new("metadata", code, text)),
    }
}

fn required(fields: &mut Map<String, Value>, name: &'static str) -> Result<String, Refusal> {
    text(fields, name)?.ok_or_else(|| Refusal::new(name, "required", Text::of("field-required")))
}

fn text(fields: &mut Map<String, Value>, name: &'static str) -> Result<Option<String>, Refusal> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::new(name, "wrong_type", Text::of("contact-string"))),
    }
}

fn object(fields: &mut Map<String, Value>, name: &'static str) -> Result<Map<String, Value>, Refusal> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object),
        Some(_) => {
            let text = Text::of("field-wrong-type").with_text("type", Text::of("type-object"));
            Err(Refusal::new(name, "wrong_type", text))
        }
    }
}

/// The external id of a contact that is not read yet.
pub(crate) fn external_id_of(item: Option<&Value>) -> Option<&str> {
    item?.get("external_id")?.as_str()
}
