//! One contact of a batch, from JSON to what the domain knows. A contact that is wrong is refused alone, with the first
//! thing that is wrong with it.

use chrono::NaiveDate;
use regua_domain::{ContactName, Language, MessageType, Money, OwnVariables, PhoneNumber, parse_due_date};
use serde_json::{Map, Value};

use super::LONGEST_ID;
use crate::form::{object_fault, text_fault};

/// The field of a refusal that is about no single member.
pub(crate) const WHOLE: &str = "contact";
/// Bytes of JSON of one contact's metadata.
const MOST_METADATA: usize = 10 << 10;

/// A contact that can be written to, as far as it alone can tell.
pub(crate) struct Contact {
    /// The caller's id.
    pub(crate) external_id: Option<String>,
    /// Their name.
    pub(crate) name: ContactName,
    /// Their number.
    pub(crate) phone: PhoneNumber,
    /// Of the bill.
    pub(crate) due_date: Option<NaiveDate>,
    /// Of the bill.
    pub(crate) amount: Option<Money>,
    /// The caller's own, for the template.
    pub(crate) variables: OwnVariables,
    /// The caller's own, as JSON text.
    pub(crate) metadata: String,
    /// Names of members that nobody knows.
    pub(crate) unknown: Vec<String>,
}

/// Why a contact is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The member that is wrong.
    pub(crate) field: String,
    /// For programs.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) message: String,
}

impl Refusal {
    /// A refusal for one member.
    pub(crate) fn new(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { field: field.into(), code, message: message.into() }
    }
}

/// Reads contacts of one type for callers of one language.
#[derive(Clone, Copy)]
pub(crate) struct ContactReader {
    /// Decides what is required.
    pub(crate) message_type: MessageType,
    /// In which language to say what is wrong.
    pub(crate) language: Language,
}

impl ContactReader {
    /// Takes what stands in the list apart.
    pub(crate) fn read(&self, sent: Option<Value>) -> Result<Contact, Refusal> {
        let language = self.language;
        let Some(Value::Object(mut sent)) = sent else {
            let message =
                language.pick("O contato deve ser um objeto JSON válido.", "The contact must be a valid JSON object.");
            return Err(Refusal::new(WHOLE, "wrong_type", message));
        };
        let external_id = self.external_id(&mut sent)?;
        let name = self.required(&mut sent, "name")?;
        let name =
            ContactName::parse(&name).map_err(|error| Refusal::new("name", error.code(), error.explain(language)))?;
        let phone = self.required(&mut sent, "phone")?;
        let phone =
            PhoneNumber::parse(&phone).map_err(|error| Refusal::new("phone", error.code(), error.explain(language)))?;
        let due_date = self.of_a_bill(&mut sent, "due_date")?.map(|text| parse_due_date(&text));
        let due_date =
            due_date.transpose().map_err(|error| Refusal::new("due_date", error.code(), error.explain(language)))?;
        let amount = self.of_a_bill(&mut sent, "amount")?.map(|text| Money::parse(&text));
        let amount =
            amount.transpose().map_err(|error| Refusal::new("amount", error.code(), error.explain(language)))?;
        let variables = self.variables(&mut sent)?;
        let metadata = self.metadata(&mut sent)?;
        let unknown = sent.into_iter().map(|(name, _)| name).collect();
        Ok(Contact { external_id, name, phone, due_date, amount, variables, metadata, unknown })
    }

    fn external_id(&self, sent: &mut Map<String, Value>) -> Result<Option<String>, Refusal> {
        let Some(text) = self.text(sent, "external_id")? else { return Ok(None) };
        match text_fault(&text, LONGEST_ID, self.language) {
            None => Ok(Some(text)),
            Some((code, message)) => Err(Refusal::new("external_id", code, message)),
        }
    }

    fn variables(&self, sent: &mut Map<String, Value>) -> Result<OwnVariables, Refusal> {
        let own = self.object(sent, "variables")?;
        OwnVariables::parse(&own).map_err(|error| {
            let field = error.name().map_or_else(|| "variables".to_owned(), |name| format!("variables.{name}"));
            Refusal::new(field, error.code(), error.explain(self.language))
        })
    }

    fn metadata(&self, sent: &mut Map<String, Value>) -> Result<String, Refusal> {
        let own = Value::Object(self.object(sent, "metadata")?);
        let written = own.to_string();
        match object_fault(&own, written.len(), MOST_METADATA, self.language) {
            None => Ok(written),
            Some((code, message)) => Err(Refusal::new("metadata", code, message)),
        }
    }

    /// Due date and amount: overdue and upcoming messages need them, notifications may have them.
    fn of_a_bill(&self, sent: &mut Map<String, Value>, name: &'static str) -> Result<Option<String>, Refusal> {
        if self.message_type.concerns_a_bill() { self.required(sent, name).map(Some) } else { self.text(sent, name) }
    }

    fn required(&self, sent: &mut Map<String, Value>, name: &'static str) -> Result<String, Refusal> {
        let message = self.language.pick("O campo é obrigatório.", "The field is required.");
        self.text(sent, name)?.ok_or_else(|| Refusal::new(name, "required", message))
    }

    fn text(&self, sent: &mut Map<String, Value>, name: &'static str) -> Result<Option<String>, Refusal> {
        match sent.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => {
                let message = self
                    .language
                    .pick("O campo deve ser um texto, entre aspas.", "The field must be a string, between quotes.");
                Err(Refusal::new(name, "wrong_type", message))
            }
        }
    }

    fn object(&self, sent: &mut Map<String, Value>, name: &'static str) -> Result<Map<String, Value>, Refusal> {
        match sent.remove(name) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(_) => {
                let message = self.language.pick("O campo deve ser um objeto.", "The field must be an object.");
                Err(Refusal::new(name, "wrong_type", message))
            }
        }
    }
}

/// The caller's id of a contact of which nothing else is known to be right.
pub(crate) fn external_id_of(sent: Option<&Value>) -> Option<&str> {
    sent?.get("external_id")?.as_str()
}
