//! The rows of Evolution's Message table for one instance, and findMessages over them with all its peculiarities.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A row of the Message table. No `Debug`: the row holds a number and a text.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredMessage {
    /// The id of the row.
    pub id: String,
    /// WhatsApp's id (`key.id`).
    pub key_id: String,
    /// The recipient's jid or LID.
    pub remote_jid: String,
    /// The recipient's phone jid, beside a LID.
    pub remote_jid_alt: Option<String>,
    /// Whether the instance sent it.
    pub from_me: bool,
    /// The sender's name; "Você" for the instance.
    pub push_name: Option<String>,
    /// `conversation`, `documentMessage` and so on.
    pub message_type: String,
    /// The message, in the form of its type.
    pub message: Value,
    /// Seconds since 1970.
    pub timestamp: i64,
    /// `web` or `unknown`.
    pub source: String,
    /// Rows of the MessageUpdate table: id and status.
    pub updates: Vec<(String, String)>,
}

impl StoredMessage {
    fn record(&self, instance_id: &str) -> Value {
        let mut key = json!({"id": self.key_id, "fromMe": self.from_me, "remoteJid": self.remote_jid});
        if let Some(alternative) = &self.remote_jid_alt {
            key["remoteJidAlt"] = json!(alternative);
        }
        let updates: Vec<Value> = self.updates.iter().map(|(_, status)| json!({"status": status})).collect();
        json!({
            "id": self.id, "key": key, "pushName": self.push_name, "messageType": self.message_type,
            "message": self.message, "messageTimestamp": self.timestamp, "instanceId": instance_id,
            "source": self.source, "contextInfo": null, "MessageUpdate": updates,
        })
    }

    fn status_rows(&self, instance_id: &str) -> Vec<Value> {
        let row = |(id, status): &(String, String)| {
            json!({
                "id": id, "keyId": self.key_id, "remoteJid": self.remote_jid, "fromMe": self.from_me,
                "participant": null, "pollUpdates": null, "status": status, "messageId": self.id,
                "instanceId": instance_id,
            })
        };
        self.updates.iter().map(row).collect()
    }
}

#[derive(Default)]
pub(crate) struct History {
    rows: Mutex<Vec<StoredMessage>>,
}

impl History {
    pub(crate) fn with_rows(rows: Vec<StoredMessage>) -> Self {
        Self { rows: Mutex::new(rows) }
    }

    pub(crate) fn store(&self, row: StoredMessage) {
        self.rows().push(row);
    }

    pub(crate) fn len(&self) -> usize {
        self.rows().len()
    }

    /// Adds a status to the row of `key_id`, and returns the row's id and jid. Without a row the status is dropped.
    pub(crate) fn add_status(&self, key_id: &str, update_id: String, status: &str) -> Option<(String, String)> {
        let mut rows = self.rows();
        let row = rows.iter_mut().rfind(|row| row.key_id == key_id)?;
        row.updates.push((update_id, status.to_owned()));
        Some((row.id.clone(), row.remote_jid.clone()))
    }

    pub(crate) fn find_messages(&self, instance_id: &str, query: &Value) -> Value {
        let filter = &query["where"];
        let window = window_of(filter);
        let (size, page) = page_of(query);
        let rows = self.rows();
        let mut found: Vec<&StoredMessage> = rows.iter().rev().filter(|row| matches(filter, window, row)).collect();
        found.sort_by_key(|row| std::cmp::Reverse(row.timestamp));
        let records: Vec<Value> =
            found.iter().skip(size * (page - 1)).take(size).map(|row| row.record(instance_id)).collect();
        let (total, pages) = (found.len(), found.len().div_ceil(size));
        json!({"messages": {"total": total, "pages": pages, "currentPage": page, "records": records}})
    }

    /// The answer of findStatusMessage, which ignores a filter by status.
    pub(crate) fn find_statuses(&self, instance_id: &str, query: &Value) -> Value {
        let filter = &query["where"];
        let matches = |row: &&StoredMessage| {
            filter["id"].as_str().is_none_or(|id| id == row.key_id)
                && filter["remoteJid"].as_str().is_none_or(|jid| jid == row.remote_jid)
        };
        let (size, page) = page_of(query);
        let rows = self.rows();
        let found = rows.iter().filter(matches).flat_map(|row| row.status_rows(instance_id));
        found.skip(size * (page - 1)).take(size).collect()
    }

    fn rows(&self) -> MutexGuard<'_, Vec<StoredMessage>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `offset` is the page's size and `page` its number; `limit` is ignored.
fn page_of(query: &Value) -> (usize, usize) {
    let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok()).filter(|n| *n > 0);
    (number(&query["offset"]).unwrap_or(50), number(&query["page"]).unwrap_or(1))
}

/// The seconds of a time window. A window with one bound is ignored.
fn window_of(filter: &Value) -> Option<(i64, i64)> {
    let (from, to) = (&filter["messageTimestamp"]["gte"], &filter["messageTimestamp"]["lte"]);
    let has_both = is_truthy(from) && is_truthy(to);
    has_both.then(|| (seconds_of(from).unwrap_or(i64::MAX), seconds_of(to).unwrap_or(i64::MIN)))
}

fn matches(filter: &Value, window: Option<(i64, i64)>, row: &StoredMessage) -> bool {
    let key = &filter["key"];
    let equals = |wanted: &Value, value: &str| wanted.as_str().is_none_or(|wanted| wanted == value);
    equals(&key["id"], &row.key_id)
        && equals(&filter["id"], &row.id)
        && equals(&filter["messageType"], &row.message_type)
        && equals(&filter["source"], &row.source)
        // `false` is ignored.
        && (key["fromMe"] != true || row.from_me)
        && key["participant"].as_str().is_none()
        && by_jid(key, row)
        && window.is_none_or(|(from, to)| (from..=to).contains(&row.timestamp))
}

/// Two jids mean one or the other.
fn by_jid(key: &Value, row: &StoredMessage) -> bool {
    let (jid, alternative) = (key["remoteJid"].as_str(), key["remoteJidAlt"].as_str());
    (jid.is_none() && alternative.is_none())
        || jid.is_some_and(|jid| jid == row.remote_jid)
        || alternative.is_some_and(|jid| row.remote_jid_alt.as_deref() == Some(jid))
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        _ => true,
    }
}

/// `new Date(value)` in seconds. A number means milliseconds, so seconds since 1970 become a day in January 1970.
fn seconds_of(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.timestamp()),
        other => other.as_i64().map(|milliseconds| milliseconds.div_euclid(1_000)),
    }
}
