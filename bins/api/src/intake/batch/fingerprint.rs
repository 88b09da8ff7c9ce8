//! The fingerprint of a batch: SHA-256 over its type and its values. The order of JSON members, white space, `dry_run`,
//! and the difference between `null` and an absent member do not change it, except within a contact that is too large
//! to be parsed.

use regua_domain::MessageType;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{Batch, MAX_PARSED_BYTES};

/// The fingerprint, and the posted contacts: none for one that is not valid JSON. One contact is parsed at a time.
pub(super) fn fingerprint(
    message_type: MessageType,
    batch: &Batch,
    posted: Vec<Box<RawValue>>,
) -> ([u8; 32], Vec<Option<Box<RawValue>>>) {
    let mut canonical = Vec::with_capacity(64 << 10);
    let scheduled_for = batch.scheduled_for.map(|at| at.to_rfc3339());
    text(message_type.as_str(), &mut canonical);
    text(&batch.external_id, &mut canonical);
    text(&batch.name, &mut canonical);
    for optional in [&batch.template, &batch.instance, &scheduled_for] {
        match optional {
            Some(present) => text(present, &mut canonical),
            None => canonical.push(b'n'),
        }
    }
    if let Ok(metadata) = serde_json::from_str(batch.metadata.get()) {
        write(&metadata, &mut canonical);
    }
    let mut hasher = Sha256::new();
    let contacts = posted.into_iter().map(|contact| {
        let json = contact.get();
        let is_parsed = json.len() <= MAX_PARSED_BYTES;
        let value = is_parsed.then(|| serde_json::from_str::<Value>(json).ok()).flatten();
        let is_valid = value.is_some() || !is_parsed;
        match &value {
            Some(value) => write(value, &mut canonical),
            None => begin_text(json, &mut canonical),
        }
        hasher.update(&canonical);
        canonical.clear();
        if value.is_none() {
            hasher.update(json);
        }
        is_valid.then_some(contact)
    });
    let contacts = contacts.collect();
    (hasher.finalize().into(), contacts)
}

/// A value begins with its kind, and a text with its length, so that different values have different bytes.
fn write(value: &Value, canonical: &mut Vec<u8>) {
    match value {
        Value::Null => canonical.push(b'n'),
        Value::Bool(yes) => canonical.push(if *yes { b't' } else { b'f' }),
        Value::Number(number) => {
            canonical.push(b'#');
            text(&number.to_string(), canonical);
        }
        Value::String(string) => text(string, canonical),
        Value::Array(items) => {
            canonical.push(b'[');
            items.iter().for_each(|item| write(item, canonical));
            canonical.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().filter(|(_, member)| !member.is_null()).collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            canonical.push(b'{');
            for (name, member) in members {
                text(name, canonical);
                write(member, canonical);
            }
            canonical.push(b'}');
        }
    }
}

fn text(string: &str, canonical: &mut Vec<u8>) {
    begin_text(string, canonical);
    canonical.extend_from_slice(string.as_bytes());
}

fn begin_text(string: &str, canonical: &mut Vec<u8>) {
    canonical.push(b'"');
    canonical.extend_from_slice(&(string.len() as u64).to_be_bytes());
}
