//! The way of a posted body without database and HTTP, for the fuzz program of the tests. Nothing of the API itself comes
//! through here.

use chrono::{DateTime, Utc};
use regua_domain::{Language, MessageType, TenantId, VariablesSchema, Variations};
use regua_store::contacts::NewContacts;
use serde_json::Value;
use uuid::Uuid;

use crate::batch::{Batch, ContactReader};
use crate::compose::{Composed, Recipe, compose};

/// A body that was taken.
#[derive(Debug)]
pub struct Taken {
    /// The batch's own fields as they would be stored: `external_id`, name, template and instance.
    pub texts: Vec<String>,
    /// Its metadata.
    pub metadata: Value,
    /// What makes a second post the same one.
    pub hash: [u8; 32],
    /// The rows of its contacts.
    pub contacts: NewContacts,
    /// How many were posted, and the places and fields of those that were refused.
    pub posted: usize,
    /// Places and fields of contacts that were refused.
    pub rejected: Vec<(usize, String)>,
}

/// Reads a body and composes its messages, as a post does.
///
/// # Errors
/// The problem's code where nothing is taken.
pub fn taken(
    body: &[u8],
    message_type: MessageType,
    variations: Variations,
    schema: Option<VariablesSchema>,
    now: DateTime<Utc>,
) -> Result<Taken, &'static str> {
    let language = Language::Portuguese;
    let batch = Batch::parse(body, message_type, language, now).map_err(|problem| problem.code().as_str())?;
    let recipe = Recipe {
        reader: ContactReader { message_type, language },
        batch_id: batch.external_id.clone(),
        variations,
        schema,
        tenant: TenantId(Uuid::from_u128(7)),
        company: "Acme".to_owned(),
        first_reference: 0,
        today: now.date_naive(),
        now,
    };
    let posted = batch.contacts.len();
    let Composed { contacts, rejected, .. } = compose(&recipe, batch.contacts);
    let texts = [Some(batch.external_id), Some(batch.name), batch.template, batch.instance];
    Ok(Taken {
        texts: texts.into_iter().flatten().collect(),
        metadata: batch.metadata,
        hash: batch.hash,
        contacts,
        posted,
        rejected: rejected.into_iter().map(|remark| (remark.index, remark.field)).collect(),
    })
}
