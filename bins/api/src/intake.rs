//! The way in without HTTP, for measures: what the handler does between its request and its answer, and nothing else.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use axum::extract::FromRequestParts;
use axum::http::{Request, StatusCode};
use regua_domain::MessageType;

use crate::auth::{API_KEY_HEADER, Caller};
use crate::listings::Listings;
use crate::posted::Posted;
use crate::routes::send::send;
use crate::{Api, Context};

/// A caller whose batches are read, composed and stored, and whose doorbells wait for somebody else's relay.
pub struct Intake {
    context: Context,
    caller: Caller,
}

impl Intake {
    /// Looks the key up.
    ///
    /// # Errors
    /// When the key is not valid, or the database is away.
    pub async fn open(api: Api, key: &str) -> anyhow::Result<Self> {
        let listings = Listings::new(api.pool.clone(), None, api.metrics.clone());
        let context = Context::of(&api, listings, Arc::default())?;
        let (mut parts, ()) = Request::builder().header(API_KEY_HEADER, key).body(())?.into_parts();
        let Ok(caller) = Caller::from_request_parts(&mut parts, &context).await else { bail!("the key is refused") };
        Ok(Self { context, caller })
    }

    /// Takes a batch, as JSON; returns once it is durable.
    ///
    /// # Errors
    /// When it is refused, or the database is away.
    pub async fn take(&self, message_type: MessageType, body: Vec<u8>) -> anyhow::Result<()> {
        let posted = Posted { caller: self.caller.clone(), body, memory: None };
        let answer = send(&self.context, message_type, posted).await.ok().context("the batch is refused")?;
        ensure!(answer.status() == StatusCode::ACCEPTED, "the batch was not taken");
        Ok(())
    }
}
