//! Reads a posted batch: checks its own fields and splits the list of contacts. `compose` reads the contacts one by
//! one.

mod contact;
mod fingerprint;

use std::fmt;

use chrono::{DateTime, Days, Utc};
use regua_domain::{Language, MessageType, TenantId, Text};
use regua_store::intake::BatchRequest;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

pub(crate) use self::contact::{Contact, ContactReader, Refusal, WHOLE_CONTACT, external_id_of};

use crate::http::{Form, Problem};
use crate::texts::render_text;

pub(crate) const MAX_CONTACTS: usize = 10_000;
/// Characters of external ids and names.
pub(crate) const MAX_ID_LENGTH: usize = 200;
/// Of the batch's JSON; a contact has its own limit.
const MAX_METADATA_BYTES: usize = 64 << 10;
/// A leap year.
const MAX_DAYS_AHEAD: u64 = 366;

/// A batch whose own fields are valid.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Unique per tenant; the key of the replay guard.
    pub(crate) external_id: String,
    pub(crate) name: String,
    /// Name; none: the default of tenant and type.
    pub(crate) template: Option<String>,
    /// Name; none: the default of tenant and type.
    pub(crate) instance: Option<String>,
    pub(crate) scheduled_for: Option<DateTime<Utc>>,
    pub(crate) dry_run: bool,
    pub(crate) metadata: Value,
    /// The items of the list in their order; none for an item that is not valid JSON.
    pub(crate) contacts: Vec<Option<Value>>,
    pub(crate) fingerprint: [u8; 32],
}

impl Batch {
    /// Reads a body. The problem names every fault of the batch's own fields.
    pub(crate) fn parse(
        body: &[u8],
        message_type: MessageType,
        language: Language,
        now: DateTime<Utc>,
    ) -> Result<Self, Problem> {
        let mut form = Form::read(body, language)?;
        let external_id = form.required_text("external_id", MAX_ID_LENGTH);
        let name = form.text("name", MAX_ID_LENGTH);
        let template = form.text("template", MAX_ID_LENGTH);
        let instance = form.text("instance", MAX_ID_LENGTH);
        let scheduled_for = form.instant("scheduled_for");
        refuse_far_ahead(&mut form, scheduled_for, now);
        let dry_run = form.boolean("dry_run").unwrap_or_default();
        let metadata = form.object("metadata", MAX_METADATA_BYTES);
        let raw_contacts = raw_contacts(&mut form);
        form.finish()?;

        let contacts = raw_contacts.iter().map(|raw| serde_json::from_str(raw.get()).ok()).collect();
        let name = name.unwrap_or_else(|| default_name(message_type, &external_id));
        let mut batch = Self {
            external_id,
            name,
            template,
            instance,
            scheduled_for,
            dry_run,
            metadata,
            contacts,
            fingerprint: [0; 32],
        };
        batch.fingerprint = fingerprint::fingerprint(message_type, &batch, &raw_contacts);
        Ok(batch)
    }
}

impl Batch {
    /// What to read for the plan. A dry run reserves no references.
    pub(crate) fn request(&self, tenant_id: TenantId, message_type: MessageType) -> BatchRequest<'_> {
        BatchRequest {
            tenant_id,
            message_type,
            external_id: &self.external_id,
            template: self.template.as_deref(),
            instance: self.instance.as_deref(),
            references: if self.dry_run { 0 } else { i64::try_from(self.contacts.len()).unwrap_or(i64::MAX) },
        }
    }
}

fn refuse_far_ahead(form: &mut Form<'_>, scheduled_for: Option<DateTime<Utc>>, now: DateTime<Utc>) {
    let farthest = now.checked_add_days(Days::new(MAX_DAYS_AHEAD));
    if scheduled_for > farthest && scheduled_for.is_some() {
        form.refuse("scheduled_for", "too_far_ahead", &Text::of("batch-too-far-ahead"));
    }
}

/// The items of the list as JSON text; empty after a fault.
fn raw_contacts<'a>(form: &mut Form<'a>) -> Vec<&'a RawValue> {
    let Some(raw) = form.take("contacts") else {
        form.required("contacts");
        return Vec::new();
    };
    let Ok(List { items, count }) = serde_json::from_str(raw.get()) else {
        form.wrong_type("contacts", Text::of("type-object-list"));
        return Vec::new();
    };
    if count == 0 {
        form.refuse("contacts", "empty", &Text::of("batch-empty"));
    }
    if count > MAX_CONTACTS {
        form.refuse(
            "contacts",
            "too_many",
            &Text::of("batch-too-many-contacts").with("count", count).with("most", MAX_CONTACTS),
        );
    }
    items
}

/// The name of a batch that has none. It is stored, and does not depend on the caller's language.
fn default_name(message_type: MessageType, external_id: &str) -> String {
    let text = match message_type {
        MessageType::Overdue => Text::of("batch-name-overdue"),
        MessageType::Upcoming => Text::of("batch-name-upcoming"),
        MessageType::Notification => Text::of("batch-name-notification"),
    };
    render_text(&text.with("batch", external_id), Language::default())
}

/// The first items of a JSON list and the number of all items. Items above the limit use no memory.
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
        while items.len() < MAX_CONTACTS {
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
