//! From a batch to messages: every contact is judged, enriched, given its variation and rendered. Pure and busy: it runs
//! off the async threads.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use regua_domain::{
    ContactDetails, ContactId, PhoneKind, Reference, RenderError, TenantId, Variables, VariablesSchema, Variations,
    printable,
};
use regua_store::contacts::NewContacts;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::batch::{Contact, ContactReader, LONGEST_ID, Refusal, WHOLE, external_id_of};
use crate::error::FieldError;
use crate::form::shown;

/// So many different unknown members are remarked on.
const MOST_REMARKS: usize = 20;

/// A contact that was refused, or a remark on one that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ContactRemark)]
pub(crate) struct Remark {
    /// Place in the posted list, from 0.
    pub(crate) index: usize,
    /// The caller's id, where one can be read.
    pub(crate) external_id: Option<String>,
    /// The member that it is about, such as `phone` or `variables.link_boleto`.
    pub(crate) field: String,
    /// For programs.
    pub(crate) code: String,
    /// For people.
    pub(crate) message: String,
}

impl From<Remark> for FieldError {
    fn from(remark: Remark) -> Self {
        let Remark { index, field, .. } = &remark;
        let field = match field.as_str() {
            WHOLE => format!("contacts[{index}]"),
            member => format!("contacts[{index}].{member}"),
        };
        Self { field, code: remark.code, message: remark.message }
    }
}

/// What messages are made with.
pub(crate) struct Recipe {
    /// How contacts are read.
    pub(crate) reader: ContactReader,
    /// The batch's id: with the contact's it chooses the variation.
    pub(crate) batch_id: String,
    /// The template.
    pub(crate) variations: Variations,
    /// What the template demands of the contacts' own variables.
    pub(crate) schema: Option<VariablesSchema>,
    /// Whose messages they are.
    pub(crate) tenant: TenantId,
    /// The tenant's name.
    pub(crate) company: String,
    /// The number of the first contact's reference; the others' follow it.
    pub(crate) first_reference: u64,
    /// The tenant's date on which the batch is expected to go.
    pub(crate) today: NaiveDate,
    /// For the contacts' ids.
    pub(crate) now: DateTime<Utc>,
}

/// Messages that are ready, and what was refused or remarked on.
#[derive(Default)]
pub(crate) struct Composed {
    /// Those that were taken; their positions are their places in the posted list.
    pub(crate) contacts: NewContacts,
    /// Those that were not.
    pub(crate) rejected: Vec<Remark>,
    /// Things that are probably not meant.
    pub(crate) warnings: Vec<Remark>,
    remarked: BTreeSet<String>,
}

/// Composes the messages of all contacts, in their order.
pub(crate) fn compose(recipe: &Recipe, sent: Vec<Option<Value>>) -> Composed {
    let mut composed = Composed::default();
    let is_doubled = doubled(&sent);
    for ((index, sent), is_doubled) in sent.into_iter().enumerate().zip(is_doubled) {
        let external_id = external_id_of(sent.as_ref()).map(shown_id);
        let made = if is_doubled { Err(recipe.doubled()) } else { recipe.message(index as u64, sent) };
        match made {
            Ok(message) => composed.take(index, message, recipe),
            Err(Refusal { field, code, message }) => {
                composed.rejected.push(Remark { index, external_id, field, code: code.to_owned(), message });
            }
        }
    }
    composed
}

/// Whose external id an earlier contact has, were that one refused or not: which of the two is meant, nobody can say.
fn doubled(sent: &[Option<Value>]) -> Vec<bool> {
    let mut seen = HashSet::with_capacity(sent.len());
    sent.iter().map(|contact| external_id_of(contact.as_ref()).is_some_and(|id| !seen.insert(id))).collect()
}

/// An id as it is repeated in the answer even where it is refused for its length or its characters.
fn shown_id(id: &str) -> String {
    printable(id, LONGEST_ID)
}

/// A contact with its message.
struct Message {
    contact: Contact,
    contact_id: ContactId,
    reference: Reference,
    variation: u8,
    text: String,
}

impl Recipe {
    fn message(&self, index: u64, sent: Option<Value>) -> Result<Message, Refusal> {
        let contact = self.reader.read(sent)?;
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
        let text = template.message(&variables, reference).map_err(|error| self.unrendered(&error))?;
        Ok(Message { contact, contact_id, reference, variation, text })
    }

    /// By the caller's ids and not by ours, so that a dry run shows the wording that is sent.
    fn variation_key(&self, contact: &Contact) -> Vec<u8> {
        let own = contact.external_id.as_deref().unwrap_or_else(|| contact.phone.as_e164());
        [self.batch_id.as_bytes(), b"\0", own.as_bytes()].concat()
    }

    fn check_schema(&self, contact: &Contact) -> Result<(), Refusal> {
        let Some(schema) = &self.schema else { return Ok(()) };
        schema.check(contact.variables.as_map()).map_err(|violation| {
            let field = format!("variables{}", violation.pointer.replace('/', "."));
            Refusal::new(field, violation.code(), violation.explain(self.reader.language))
        })
    }

    fn unrendered(&self, error: &RenderError) -> Refusal {
        let language = self.reader.language;
        let RenderError::MissingVariable { name } = error else {
            return Refusal::new("variables", error.code(), error.explain(language));
        };
        let of_a_bill = match name.as_str() {
            "valor" => "amount",
            "vencimento" | "dias_atraso" | "dias_para_vencer" => "due_date",
            _ => return Refusal::new(format!("variables.{name}"), error.code(), error.explain(language)),
        };
        let message = language.pick(
            format!("O modelo usa \"{name}\". Envie \"{of_a_bill}\" neste contato."),
            format!("The template uses \"{name}\". Send \"{of_a_bill}\" with this contact."),
        );
        Refusal::new(of_a_bill, error.code(), message)
    }

    fn doubled(&self) -> Refusal {
        let message = self.reader.language.pick(
            "Outro contato deste lote tem o mesmo external_id; só o primeiro é considerado.",
            "Another contact of this batch has the same external_id; only the first is considered.",
        );
        Refusal::new("external_id", "duplicate_external_id", message)
    }
}

impl Composed {
    fn take(&mut self, index: usize, message: Message, recipe: &Recipe) {
        let Message { contact, contact_id, reference, variation, text } = message;
        self.remark_on(index, &contact, recipe);
        let rows = &mut self.contacts;
        rows.ids.push(contact_id.0);
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

    fn remark_on(&mut self, index: usize, contact: &Contact, recipe: &Recipe) {
        let language = recipe.reader.language;
        let mut remark = |field: String, code: &str, message: String| {
            let external_id = contact.external_id.clone();
            self.warnings.push(Remark { index, external_id, field, code: code.to_owned(), message });
        };
        if contact.phone.kind() == PhoneKind::Landline {
            let message = language.pick(
                "O número é de telefone fixo; só chega se houver WhatsApp Business nele.",
                "The number is a landline; the message arrives only if WhatsApp Business lives on it.",
            );
            remark("phone".to_owned(), "landline", message.to_owned());
        }
        for name in &contact.unknown {
            let name = shown(name);
            if self.remarked.len() >= MOST_REMARKS || !self.remarked.insert(name.clone()) {
                continue;
            }
            let message = language.pick(
                "O campo não existe e foi ignorado, neste e nos demais contatos.",
                "There is no such field; it was ignored, here and in the other contacts.",
            );
            remark(name, "unknown_field", message.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
