//! Reads a posted batch: checks its own fields and splits the list of contacts. `compose` reads the contacts one by
//! one.

mod contact;
mod fields;
mod fingerprint;
mod shape;
mod variables;

use std::fmt;

use chrono::{DateTime, Days, Utc};
use regua_domain::{Language, MessageType, TenantId, Text};
use regua_store::intake::BatchRequest;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use utoipa::openapi::{ArrayBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub(crate) use self::contact::{Contact, Refusal, WHOLE_CONTACT};
pub(crate) use self::fields::Fields;

use self::shape::SendContact;
use crate::http::{Draft, Field, Line, Member, Object, Problem, body};
use crate::texts::render_text;

pub(crate) const MAX_CONTACTS: usize = 10_000;
/// Characters of external ids and names.
pub(crate) const MAX_ID_LENGTH: usize = 200;
/// Of the batch's JSON; a contact has its own limit.
const MAX_METADATA_BYTES: usize = 64 << 10;
/// Bytes of JSON text that are parsed into a value, which may take a hundred times as much memory.
const MAX_PARSED_BYTES: usize = 64 << 10;
/// A leap year.
const MAX_DAYS_AHEAD: u64 = 366;

body! {
    /// A batch of contacts. Its texts may not contain control characters, invisible characters or direction marks.
    @closed pub(crate) struct SendRequest {
        /// Unique per tenant. The same batch posted again is not sent again.
        #[example = "ERP-2026-11-21-0001"]
        external_id: Line<1, MAX_ID_LENGTH>,
        /// For people. Default: made of the type and `external_id`.
        #[example = "Cobrança novembro"]
        name: Option<Line<1, MAX_ID_LENGTH>>,
        /// Name of the template. Default: the tenant's default for the type.
        #[example = "cobranca-padrao"]
        template: Option<Line<1, MAX_ID_LENGTH>>,
        /// Name of the instance. Default: the tenant's default for the type.
        #[example = "matriz"]
        instance: Option<Line<1, MAX_ID_LENGTH>>,
        /// Sending begins at this time, at most a year ahead. A time in the past means now.
        #[example = "2026-11-23T09:00:00-03:00"]
        scheduled_for: Option<DateTime<Utc>>,
        /// Answers with the messages that would be sent, and stores nothing.
        #[default = false]
        dry_run: bool = false,
        /// Any object, up to 64 KB and 16 levels.
        metadata: Object<MAX_METADATA_BYTES> = empty_object(),
        /// Valid contacts are accepted even when others are invalid.
        contacts: ContactList,
    }
}

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
    /// JSON text.
    pub(crate) metadata: Box<RawValue>,
    /// The items of the list in their order, as JSON text; none for an item that is not valid JSON.
    pub(crate) contacts: Vec<Option<Box<RawValue>>>,
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
        let mut draft = Draft::<SendRequest>::parse(body, language)?;
        let farthest = now.checked_add_days(Days::new(MAX_DAYS_AHEAD));
        if draft.scheduled_for.flatten().is_some_and(|at| Some(at) > farthest) {
            draft.refuse("scheduled_for", "too_far_ahead", &Text::of("batch-too-far-ahead"));
        }
        let SendRequest { external_id, name, template, instance, scheduled_for, dry_run, metadata, contacts: posted } =
            draft.finish()?;
        let name = name.unwrap_or_else(|| default_name(message_type, &external_id));
        let (contacts, fingerprint) = (Vec::new(), [0; 32]);
        let mut batch =
            Self { external_id, name, template, instance, scheduled_for, dry_run, metadata, contacts, fingerprint };
        (batch.fingerprint, batch.contacts) = fingerprint::fingerprint(message_type, &batch, posted);
        Ok(batch)
    }

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

/// The list of contacts.
pub(crate) struct ContactList;

impl Member for ContactList {
    /// The items in their order, as JSON text.
    type Value = Vec<Box<RawValue>>;

    fn schema() -> Schema {
        let items = Ref::from_schema_name(SendContact::name());
        ArrayBuilder::new().items(items).min_items(Some(1)).max_items(Some(MAX_CONTACTS)).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((SendContact::name().into_owned(), SendContact::schema()));
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Self::Value> {
        if field.json.starts_with('{') {
            return field.refuse("wrong_type", &Text::of("batch-contacts-object"));
        }
        if !field.json.starts_with('[') {
            return field.wrong_type(Text::of("type-object-list"));
        }
        let List { items, count } = field.parse(Text::of("type-object-list"))?;
        if count == 0 {
            return field.refuse("empty", &Text::of("batch-empty"));
        }
        if count > MAX_CONTACTS {
            let text = Text::of("batch-too-many-contacts").with("count", count).with("most", MAX_CONTACTS);
            return field.refuse("too_many", &text);
        }
        Some(items.into_iter().map(ToOwned::to_owned).collect())
    }
}

fn empty_object() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_default()
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
