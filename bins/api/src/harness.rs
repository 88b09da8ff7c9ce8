//! Calls of the intake without HTTP, for fuzz tests and benchmarks. Only the feature `harness` builds them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::extract::FromRequestParts;
use axum::http::{Request, StatusCode};
use chrono::{DateTime, Utc};
use regua_domain::{Language, MessageType, TenantId, Variations};
use regua_store::intake::NewContacts;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::callers::{Caller, Posted};
use crate::context::{Api, State};
use crate::credentials::keys::API_KEY_HEADER;
use crate::intake::batch::Batch;
use crate::intake::compose::{Composed, Composer};
use crate::routes::campaigns::send::send;

/// An API key whose batches are read, composed and stored. No relay runs, so doorbells stay in their table.
pub struct Intake {
    caller: Caller,
}

impl Intake {
    /// Authenticates the key. Fails when the key is refused or the database is away.
    pub async fn open(api: Api, key: &str) -> anyhow::Result<Self> {
        let context = State::new(&api, Arc::default())?;
        let (mut parts, ()) = Request::builder().header(API_KEY_HEADER, key).body(())?.into_parts();
        let Ok(caller) = Caller::from_request_parts(&mut parts, &context).await else { bail!("the key is refused") };
        Ok(Self { caller })
    }

    /// Posts a batch, as JSON; returns once it is durable. Fails when it is not accepted.
    pub async fn post(&self, message_type: MessageType, body: Vec<u8>) -> anyhow::Result<()> {
        let posted = Posted { caller: self.caller.clone(), body, memory: None };
        let answer = send(message_type, posted).await.ok().context("the batch is refused")?;
        ensure!(answer.status() == StatusCode::ACCEPTED, "the batch is a replay or a dry run");
        Ok(())
    }
}

/// An accepted batch with its composed messages.
#[derive(Debug)]
pub struct ComposedBatch {
    /// The texts of the batch as they would be stored: `external_id`, name, template and instance.
    pub texts: Vec<String>,
    /// The batch's metadata.
    pub metadata: Value,
    /// The hash that the replay guard compares.
    pub fingerprint: [u8; 32],
    /// Rows of the accepted contacts.
    pub contacts: NewContacts,
    /// Number of posted contacts.
    pub posted: usize,
    /// Position and wrong field of each rejected contact.
    pub rejected: Vec<(usize, String)>,
}

/// Reads a body; returns the number of posted contacts. The error is the code of the problem.
pub fn read_batch(body: &[u8], message_type: MessageType, now: DateTime<Utc>) -> Result<usize, &'static str> {
    let batch = Batch::parse(body, message_type, Language::Portuguese, now);
    batch.map(|batch| batch.contacts.len()).map_err(|problem| problem.code().as_str())
}

/// Reads a body and composes its messages, as a post does. The error is the code of the problem.
pub fn compose_batch(
    body: &[u8],
    message_type: MessageType,
    variations: Variations,
    schema: Option<Value>,
    now: DateTime<Utc>,
) -> Result<ComposedBatch, &'static str> {
    let language = Language::Portuguese;
    let batch = Batch::parse(body, message_type, language, now).map_err(|problem| problem.code().as_str())?;
    let composer = Composer {
        message_type,
        language,
        batch_id: batch.external_id.clone(),
        variations,
        schema,
        cpu_time: Duration::MAX,
        tenant: TenantId(Uuid::from_u128(7)),
        company: "Acme".to_owned(),
        first_reference: 0,
        today: now.date_naive(),
        now,
    };
    let posted = batch.contacts.len();
    let composed = composer.compose(batch.contacts, &CancellationToken::new()).map_err(|_| "not composed")?;
    let Composed { contacts, rejected, .. } = composed;
    let texts = [Some(batch.external_id), Some(batch.name), batch.template, batch.instance];
    Ok(ComposedBatch {
        texts: texts.into_iter().flatten().collect(),
        metadata: serde_json::from_str(batch.metadata.get()).unwrap_or_default(),
        fingerprint: batch.fingerprint,
        contacts,
        posted,
        rejected: rejected.into_iter().map(|issue| (issue.index, issue.field)).collect(),
    })
}
