//! Composes the messages of a batch: reads each contact, chooses its variation and renders its text. It uses the CPU
//! alone and runs off the async threads.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use regua_domain::{
    ContactDetails, ContactId, Language, MessageType, PhoneKind, Reference, RenderError, SchemaError, TenantId, Text,
    Variables, VariablesSchema, Variations,
};
use regua_store::intake::NewContacts;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::batch::{Contact, Fields, Refusal, WHOLE_CONTACT};
use super::cpu_time::CpuTime;
use crate::http::FieldError;
use crate::texts::render_text;

/// Per batch; each name is warned about once.
const MAX_UNKNOWN_FIELD_WARNINGS: usize = 20;
/// A warning is frequent if more than one contact in this many has it …
const FREQUENT: usize = 20;
/// … and no fewer than this many.
const FEW: usize = 3;
/// The CPU time of one contact, in addition to the batch's: a hundred times what a usual one takes.
const CPU_TIME_OF_CONTACT: Duration = Duration::from_millis(2);

/// The fault of a rejected contact, or a warning about an accepted contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ContactRemark)]
pub(crate) struct ContactIssue {
    /// Position in the posted list, from 0.
    pub(crate) index: usize,
    /// The contact's external id; null when the contact has none.
    pub(crate) external_id: Option<String>,
    /// The field concerned, such as `phone` or `variables.link_boleto`.
    pub(crate) field: String,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl From<ContactIssue> for FieldError {
    fn from(issue: ContactIssue) -> Self {
        let ContactIssue { index, field, .. } = &issue;
        let field = match field.as_str() {
            WHOLE_CONTACT => format!("contacts[{index}]"),
            name => format!("contacts[{index}].{name}"),
        };
        Self { field, code: issue.code, message: issue.message }
    }
}

pub(crate) struct Composer {
    pub(crate) message_type: MessageType,
    /// Of the refusals and the warnings.
    pub(crate) language: Language,
    /// The batch's external id; with the contact's it chooses the variation.
    pub(crate) batch_id: String,
    pub(crate) variations: Variations,
    /// The template's schema of the contacts' variables, as stored.
    pub(crate) schema: Option<Value>,
    /// The budget of CPU time, in addition to two milliseconds for each contact.
    pub(crate) cpu_time: Duration,
    pub(crate) tenant: TenantId,
    pub(crate) company: String,
    /// Number of the first contact's reference; the numbers of the other contacts follow it.
    pub(crate) first_reference: u64,
    /// The date, in the tenant's time zone, on which sending is expected to begin.
    pub(crate) today: NaiveDate,
    /// The time in the contacts' ids.
    pub(crate) now: DateTime<Utc>,
}

#[derive(Default)]
pub(crate) struct Composed {
    /// Rows of the accepted contacts.
    pub(crate) contacts: NewContacts,
    /// Number of the accepted contacts.
    pub(crate) accepted: i32,
    pub(crate) rejected: Vec<ContactIssue>,
    /// About accepted contacts.
    pub(crate) warnings: Vec<ContactIssue>,
    unknown_fields: BTreeSet<String>,
}

/// Why a batch is not composed.
#[derive(Debug)]
pub(crate) enum Uncomposed {
    /// Its caller is gone.
    Stopped,
    /// The budget of CPU time is used up, by the checks of the template's schema.
    CostlySchema,
    /// The budget of CPU time is used up.
    OutOfTime,
    /// The stored schema is not valid.
    Schema(SchemaError),
}

struct Message {
    contact: Contact,
    contact_id: ContactId,
    reference: Reference,
    variation: u8,
    text: String,
}

impl Composer {
    /// Composes the messages of all contacts, in their order, one after the other. It stops when the token is
    /// cancelled.
    pub(crate) fn compose(
        &self,
        items: Vec<Option<Box<RawValue>>>,
        stop: &CancellationToken,
    ) -> Result<Composed, Uncomposed> {
        let contacts = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let budget = self.cpu_time.saturating_add(CPU_TIME_OF_CONTACT.saturating_mul(contacts));
        let used = CpuTime::start();
        let schema = self.schema.as_ref().map(VariablesSchema::compile).transpose().map_err(Uncomposed::Schema)?;
        let (mut composed, mut seen) = (Composed::default(), HashSet::with_capacity(items.len()));
        for (index, item) in items.into_iter().enumerate() {
            if stop.is_cancelled() {
                return Err(Uncomposed::Stopped);
            }
            let fields = item.as_deref().and_then(|item| Fields::read(item.get()));
            let (external_id, hash) = fields.as_ref().and_then(Fields::external_id).unzip();
            // An earlier contact counts even when it is rejected.
            let is_new = hash.is_none_or(|hash| seen.insert(hash));
            let message = if is_new { self.message(index as u64, fields, schema.as_ref()) } else { duplicate() };
            let message = message.and_then(|message| unless_repeated(message, &mut seen));
            match message {
                Ok(message) => composed.accept(index, message, self.language),
                Err(refusal) => composed.reject(index, external_id, refusal, self.language),
            }
            if used.elapsed() > budget {
                return Err(if schema.is_some() { Uncomposed::CostlySchema } else { Uncomposed::OutOfTime });
            }
        }
        composed.begin_with_frequent_warnings(self.language);
        Ok(composed)
    }

    fn message(
        &self,
        index: u64,
        fields: Option<Fields<'_>>,
        schema: Option<&VariablesSchema>,
    ) -> Result<Message, Refusal> {
        let contact = Contact::read(fields, self.message_type)?;
        schema.map_or(Ok(()), |schema| check_schema(schema, &contact))?;
        let contact_id = ContactId::new(self.now);
        let reference = Reference::nth(self.tenant, self.first_reference.wrapping_add(index));
        let details = ContactDetails {
            name: &contact.name,
            phone: &contact.phone,
            amount: contact.amount,
            due_date: contact.due_date,
            company: &self.company,
            reference,
        };
        let variables = Variables::new(&details, &contact.variables, self.today);
        let (variation, template) = self.variations.choose(&self.variation_key(&contact));
        let text = template.message(&variables, reference).map_err(|error| render_refusal(&error))?;
        Ok(Message { contact, contact_id, reference, variation, text })
    }

    /// Made of external ids and not of new ids, so that a dry run shows the variation that is sent.
    fn variation_key(&self, contact: &Contact) -> Vec<u8> {
        let contact_key = contact.external_id.as_deref().unwrap_or_else(|| contact.phone.as_e164());
        [self.batch_id.as_bytes(), b"\0", contact_key.as_bytes()].concat()
    }
}

fn duplicate() -> Result<Message, Refusal> {
    Err(Refusal::new("external_id", "duplicate_external_id", Text::of("contact-duplicate")))
}

/// Refuses a contact without an external id that is equal to an earlier one.
fn unless_repeated(message: Message, seen: &mut HashSet<[u8; 32]>) -> Result<Message, Refusal> {
    if message.contact.external_id.is_some() || seen.insert(message.contact.identity()) {
        return Ok(message);
    }
    Err(Refusal::new(WHOLE_CONTACT, "duplicate_contact", Text::of("contact-repeated")))
}

fn check_schema(schema: &VariablesSchema, contact: &Contact) -> Result<(), Refusal> {
    schema.check(contact.variables.as_map()).map_err(|violation| {
        let field = format!("variables{}", violation.pointer.replace('/', "."));
        Refusal::new(field, violation.code(), violation.text())
    })
}

fn render_refusal(error: &RenderError) -> Refusal {
    let RenderError::MissingVariable { name } = error else {
        return Refusal::new("variables", error.code(), error.text());
    };
    let field = match name.as_str() {
        "valor" => "amount",
        "vencimento" | "dias_atraso" | "dias_para_vencer" => "due_date",
        _ => return Refusal::new(format!("variables.{name}"), error.code(), error.text()),
    };
    let text = Text::of("contact-bill-field-missing").with("name", name).with("field", field);
    Refusal::new(field, error.code(), text)
}

impl Composed {
    fn accept(&mut self, index: usize, message: Message, language: Language) {
        let Message { contact, contact_id, reference, variation, text } = message;
        self.add_warnings(index, &contact, language);
        self.accepted += 1;
        let rows = &mut self.contacts;
        rows.ids.push(contact_id);
        rows.positions.push(i32::try_from(index).unwrap_or(i32::MAX));
        rows.external_ids.push(contact.external_id);
        rows.names.push(contact.name.as_str().to_owned());
        rows.phones.push(contact.phone.as_e164().to_owned());
        rows.due_dates.push(contact.due_date);
        rows.amounts.push(contact.amount.map(regua_domain::Money::cents));
        rows.variables.push(serde_json::to_string(contact.variables.as_map()).unwrap_or_else(|_| "{}".to_owned()));
        rows.metadata.push(contact.metadata);
        rows.variations.push(variation.into());
        rows.references.push(reference.to_string());
        rows.texts.push(text);
    }

    fn reject(&mut self, index: usize, external_id: Option<String>, refusal: Refusal, language: Language) {
        let Refusal { field, code, text } = refusal;
        let (code, message) = (code.to_owned(), render_text(&text, language));
        self.rejected.push(ContactIssue { index, external_id, field, code, message });
    }

    /// Says first which warnings many contacts have: a whole column may be wrong.
    fn begin_with_frequent_warnings(&mut self, language: Language) {
        let contacts = usize::try_from(self.accepted).unwrap_or_default() + self.rejected.len();
        let mut all: BTreeMap<_, (usize, usize)> = BTreeMap::new();
        for warning in &self.warnings {
            all.entry((&warning.field, &warning.code)).or_insert((warning.index, 0)).1 += 1;
        }
        let is_frequent = |count: usize| count >= FEW && count * FREQUENT > contacts;
        let frequent = all.into_iter().filter(|(_, (_, count))| is_frequent(*count));
        let frequent = frequent.map(|((field, code), (index, count))| {
            let text = Text::of("contact-frequent-warning").with("count", count).with("contacts", contacts);
            let message = render_text(&text.with("code", code).with("field", field), language);
            ContactIssue {
                index,
                external_id: None,
                field: field.clone(),
                code: "frequent_warning".to_owned(),
                message,
            }
        });
        let frequent: Vec<_> = frequent.collect();
        self.warnings.splice(0..0, frequent);
    }

    fn add_warnings(&mut self, index: usize, contact: &Contact, language: Language) {
        let mut warn = |field: String, code: &str, text: &Text| {
            let (external_id, message) = (contact.external_id.clone(), render_text(text, language));
            self.warnings.push(ContactIssue { index, external_id, field, code: code.to_owned(), message });
        };
        for (field, warning) in &contact.warnings {
            warn((*field).to_owned(), warning.code, &warning.text);
        }
        if contact.phone.kind() == PhoneKind::Landline {
            warn("phone".to_owned(), "landline", &Text::of("contact-landline"));
        }
        for name in &contact.unknown_fields {
            if self.unknown_fields.len() >= MAX_UNKNOWN_FIELD_WARNINGS || !self.unknown_fields.insert(name.clone()) {
                continue;
            }
            warn(name.clone(), "unknown_field", &Text::of("contact-unknown-field"));
        }
    }
}

#[cfg(test)]
mod tests;
