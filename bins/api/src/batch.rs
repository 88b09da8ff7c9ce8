//! A posted batch as it is understood, before anything is looked up: its own fields are checked, its contacts are split
//! from each other but not judged yet (`compose` does that, one by one).

mod contact;
mod fingerprint;

use std::fmt;

use chrono::{DateTime, Days, Utc};
use regua_domain::{Language, MessageType};
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

pub(crate) use contact::{Contact, ContactReader, Refusal, WHOLE, external_id_of};

use crate::error::Problem;
use crate::form::Form;

/// Contacts of one batch.
pub(crate) const MOST_CONTACTS: usize = 10_000;
/// Characters of the caller's ids and of names.
pub(crate) const LONGEST_ID: usize = 200;
/// Bytes of JSON of a batch's own metadata.
const MOST_METADATA: usize = 64 << 10;
/// How far ahead a batch may be scheduled: a leap year.
const FARTHEST_DAYS: u64 = 366;

/// A batch whose own fields are right.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Unique per tenant: the replay guard.
    pub(crate) external_id: String,
    /// For people.
    pub(crate) name: String,
    /// The template's name; none: the tenant's default.
    pub(crate) template: Option<String>,
    /// The instance's name; none: the tenant's default.
    pub(crate) instance: Option<String>,
    /// Not before then.
    pub(crate) scheduled_for: Option<DateTime<Utc>>,
    /// Show what would be sent, and store nothing.
    pub(crate) dry_run: bool,
    /// The caller's own.
    pub(crate) metadata: Value,
    /// What stands in the list, in its order; none where it cannot be read as JSON at all.
    pub(crate) contacts: Vec<Option<Value>>,
    /// SHA-256 of type and contents: what makes a second post the same one.
    pub(crate) hash: [u8; 32],
}

impl Batch {
    /// Reads a body, and answers all that is wrong with the batch's own fields at once.
    pub(crate) fn parse(
        body: &[u8],
        message_type: MessageType,
        language: Language,
        now: DateTime<Utc>,
    ) -> Result<Self, Problem> {
        let mut form = Form::read(body, language)?;
        let external_id = form.required_text("external_id", LONGEST_ID);
        let name = form.text("name", LONGEST_ID);
        let template = form.text("template", LONGEST_ID);
        let instance = form.text("instance", LONGEST_ID);
        let scheduled_for = form.instant("scheduled_for");
        refuse_far_ahead(&mut form, scheduled_for, now);
        let dry_run = form.flag("dry_run");
        let metadata = form.object("metadata", MOST_METADATA);
        let contacts = contacts(&mut form);
        form.finish()?;

        let read: Vec<Option<Value>> = contacts.iter().map(|raw| serde_json::from_str(raw.get()).ok()).collect();
        let name = name.unwrap_or_else(|| default_name(message_type, &external_id));
        let mut batch = Self {
            external_id,
            name,
            template,
            instance,
            scheduled_for,
            dry_run,
            metadata,
            contacts: read,
            hash: [0; 32],
        };
        batch.hash = fingerprint::fingerprint(message_type, &batch, &contacts);
        Ok(batch)
    }
}

fn refuse_far_ahead(form: &mut Form<'_>, scheduled_for: Option<DateTime<Utc>>, now: DateTime<Utc>) {
    let farthest = now.checked_add_days(Days::new(FARTHEST_DAYS));
    if scheduled_for > farthest && scheduled_for.is_some() {
        let message = form.language.pick(
            "A data está mais de um ano à frente. Confira o ano.",
            "The date is more than a year ahead. Check the year.",
        );
        form.refuse("scheduled_for", "too_far_ahead", message);
    }
}

/// The members of the list as they were written; empty where something is wrong with it.
fn contacts<'a>(form: &mut Form<'a>) -> Vec<&'a RawValue> {
    let Some(raw) = form.take("contacts") else {
        form.required("contacts");
        return Vec::new();
    };
    let Ok(List { items, count }) = serde_json::from_str(raw.get()) else {
        form.wrong_type("contacts", "uma lista de objetos", "a list of objects");
        return Vec::new();
    };
    let language = form.language;
    if count == 0 {
        let message =
            language.pick("A lista está vazia; envie ao menos um contato.", "The list is empty; send a contact.");
        form.refuse("contacts", "empty", message);
    }
    if count > MOST_CONTACTS {
        let message = language.pick(
            format!("O lote tem {count} contatos; o máximo é {MOST_CONTACTS}. Divida-o em mais de um."),
            format!("The batch has {count} contacts; at most {MOST_CONTACTS} are taken. Split it."),
        );
        form.refuse("contacts", "too_many", &message);
    }
    items
}

/// What operators see of a batch that came without a name.
fn default_name(message_type: MessageType, external_id: &str) -> String {
    let kind = match message_type {
        MessageType::Overdue => "Cobrança",
        MessageType::Upcoming => "Lembrete",
        MessageType::Notification => "Aviso",
    };
    format!("{kind} {external_id}")
}

/// The first members of a JSON list, and how many there are in all: a list of millions takes no memory.
struct List<'a> {
    items: Vec<&'a RawValue>,
    count: usize,
}

impl<'de> Deserialize<'de> for List<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<'de>, A::Error> {
        let mut items = Vec::new();
        while items.len() < MOST_CONTACTS {
            let Some(item) = list.next_element()? else { break };
            items.push(item);
        }
        let mut count = items.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(List { items, count })
    }
}

#[cfg(test)]
mod tests;
