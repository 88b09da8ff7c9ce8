//! The webhook of an instance: set and find.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use super::guard::Guarded;
use crate::answer::Answer;
use crate::clock::now;
use crate::instance::Instance;
use crate::sandbox::Sandbox;
use crate::schema::WEBHOOK;
use crate::webhook::{EVENTS, Webhook};

pub(super) async fn set(State(sandbox): State<Sandbox>, request: Guarded) -> Result<Answer, Answer> {
    WEBHOOK.check(&request.body)?;
    let webhook = store(&sandbox, &request.instance, &request.body["webhook"])?;
    Ok(Answer::created(webhook.row(&request.instance.id)))
}

pub(super) async fn find(request: Guarded) -> Answer {
    Answer::ok(request.instance.webhook().map_or(Value::Null, |webhook| webhook.row(&request.instance.id)))
}

/// Replaces the given fields and keeps the others.
pub(super) fn store(sandbox: &Sandbox, instance: &Instance, given: &Value) -> Result<Webhook, Answer> {
    let events = events_of(given)?;
    let now = now();
    let new = || Webhook { id: sandbox.ids.uuid().to_string(), enabled: true, created_at: now, ..Webhook::default() };
    let mut row = instance.webhook().map_or_else(new, Arc::unwrap_or_clone);
    if let Some(url) = given["url"].as_str() {
        row.url = url.to_owned();
    }
    if !row.url.starts_with("http://") && !row.url.starts_with("https://") {
        return Err(Answer::thrown("Invalid \"url\" property"));
    }
    if let Some(headers) = given["headers"].as_object() {
        row.headers = headers.iter().map(|(name, value)| (name.clone(), header_text(value))).collect();
    }
    row.enabled = given["enabled"].as_bool().unwrap_or(row.enabled);
    row.by_events = given["byEvents"].as_bool().unwrap_or(row.by_events);
    row.base64 = given["base64"].as_bool().unwrap_or(row.base64);
    row.events = events;
    row.updated_at = now;
    instance.set_webhook(row.clone());
    Ok(row)
}

/// `events` is required, and an empty list means all events.
fn events_of(given: &Value) -> Result<Vec<String>, Answer> {
    let Some(events) = given["events"].as_array() else {
        return Err(Answer::bad_request(json!([["webhook requires property \"events\""]])));
    };
    if events.is_empty() {
        return Ok(EVENTS.split(',').map(str::to_owned).collect());
    }
    if let Some(index) = events.iter().position(|event| !EVENTS.split(',').any(|known| event == known)) {
        let sentence = format!("webhook.events[{index}] is not one of enum values: {EVENTS}");
        return Err(Answer::bad_request(json!([[sentence]])));
    }
    Ok(events.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn header_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
