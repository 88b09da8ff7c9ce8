//! Composes the messages of a batch: reads each contact, chooses its variation and renders its text. It uses the CPU
//! alone and runs off the async threads.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use regua_domain::{
    ContactDetails, ContactId, Language, MessageType, PhoneKind, Reference, RenderError, TenantId, Text, Variables,
    VariablesSchema, Variations, printable,
};
use regua_store::intake::NewContacts;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::batch::{Contact, MAX_ID_LENGTH, Refusal, WHOLE_CONTACT, external_id_of};
use crate::http::{FieldError, printable_name};
use crate::texts::render_text;

/// Per batch; each name is warned about once.
const MAX_UNKNOWN_FIELD_WARNINGS: usize = 20;

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
    /// The template's schema of the contacts' variables.
    pub(crate) schema: Option<VariablesSchema>,
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
    pub(crate) rejected: Vec<ContactIssue>,
    /// About accepted contacts.
    pub(crate) warnings: Vec<ContactIssue>,
    unknown_fields: BTreeSet<String>,
}

struct Message {
    contact: Contact,
    contact_id: ContactId,
    reference: Reference,
    variation: u8,
    text: String,
}

impl Composer {
    /// Composes the messages of all contacts, in their order.
    pub(crate) fn compose(&self, items: Vec<Option<Value>>) -> Composed {
        let mut composed = Composed::default();
        let duplicates = find_duplicates(&items);
        for ((index, item), is_duplicate) in items.into_iter().enumerate().zip(duplicates) {
            // The answer repeats the id even when its length or its characters are the fault.
            let external_id = external_id_of(item.as_ref()).map(|id| printable(id, MAX_ID_LENGTH));
            let result = if is_duplicate { Err(self.duplicate_refusal()) } else { self.message(index as u64, item) };
            match result {
                Ok(message) => composed.accept(index, message, self.language),
                Err(Refusal { field, code, text }) => {
                    let (code, message) = (code.to_owned(), render_text(&text, self.language));
                    composed.rejected.push(ContactIssue { index, external_id, field, code, message });
                }
            }
        }
        composed
    }

    fn message(&self, index: u64, item: Option<Value>) -> Result<Message, Refusal> {
        let contact = Contact::read(item, self.message_type)?;
        self.check_schema(&contact)?;
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
        let text = template.message(&variables, reference).map_err(|error| self.render_refusal(&error))?;
        Ok(Message { contact, contact_id, reference, variation, text })
    }

    /// Made of external ids and not of new ids, so that a dry run shows the variation that is sent.
    fn variation_key(&self, contact: &Contact) -> Vec<u8> {
        let contact_key = contact.external_id.as_deref().unwrap_or_else(|| contact.phone.as_e164());
        [self.batch_id.as_bytes(), b"\0", contact_key.as_bytes()].concat()
    }

    fn check_schema(&self, contact: &Contact) -> Result<(), Refusal> {
        let Some(schema) = &self.schema else { return Ok(()) };
        schema.check(contact.variables.as_map()).map_err(|violation| {
            let field = format!("variables{}", violation.pointer.replace('/', "."));
            Refusal::new(field, violation.code(), violation.text())
        })
    }

    fn render_refusal(&self, error: &RenderError) -> Refusal {
        let RenderError::MissingVariable { name } = error else {
            return Refusal::new("variables", error.code(), error.text());
        };
        let field = match name.as_str() {
            "valor" => "amount",
            "vencimento" | "dias_atraso" | "dias_para_vencer" => "due_date",
            _ => return Refusal::new(format!("variables.{name}"), error.code(), error.text()),
        };
        Refusal::new(
            field,
            error.code(),
            Text::of("contact-bill-field-missing").with("name", name).with("field", field),
        )
    }

    fn duplicate_refusal(&self) -> Refusal {
        Refusal::new("external_id", "duplicate_external_id", Text::of("contact-duplicate"))
    }
}

impl Composed {
    fn accept(&mut self, index: usize, message: Message, language: Language) {
        let Message { contact, contact_id, reference, variation, text } = message;
        self.add_warnings(index, &contact, language);
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

    fn add_warnings(&mut self, index: usize, contact: &Contact, language: Language) {
        let mut warn = |field: String, code: &str, text: &Text| {
            let (external_id, message) = (contact.external_id.clone(), render_text(text, language));
            self.warnings.push(ContactIssue { index, external_id, field, code: code.to_owned(), message });
        };
        if contact.phone.kind() == PhoneKind::Landline {
            warn("phone".to_owned(), "landline", &Text::of("contact-landline"));
        }
        for name in &contact.unknown_fields {
            let name = printable_name(name);
            if self.unknown_fields.len() >= MAX_UNKNOWN_FIELD_WARNINGS || !self.unknown_fields.insert(name.clone()) {
                continue;
            }
            warn(name, "unknown_field", &Text::of("contact-unknown-field"));
        }
    }
}

/// For each item, whether an earlier item has the same external id. The earlier item counts even when it is rejected.
fn find_duplicates(items: &[Option<Value>]) -> Vec<bool> {
    let mut seen = HashSet::with_capacity(items.len());
    items.iter().map(|item| external_id_of(item.as_ref()).is_some_and(|id| !seen.insert(id))).collect()
}

#[cfg(test)]
mod tests;
