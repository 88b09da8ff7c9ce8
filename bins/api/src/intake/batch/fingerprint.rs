//! The fingerprint of a batch: SHA-256 over its type and its values. The order of JSON members, white space, `dry_run`,
//! and the difference between `null` and an absent member do not change it.

use regua_domain::MessageType;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Batch;

/// `invalid` are the contacts that are not valid JSON.
pub(super) fn fingerprint(message_type: MessageType, batch: &Batch, invalid: &[String]) -> [u8; 32] {
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
    write(&batch.metadata, &mut canonical);
    let (mut hasher, mut invalid) = (Sha256::new(), invalid.iter());
    for contact in &batch.contacts {
        match contact {
            Some(contact) => write(contact, &mut canonical),
            None => text(invalid.next().map_or("", String::as_str), &mut canonical),
        }
        hasher.update(&canonical);
        canonical.clear();
    }
    hasher.finalize().into()
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
    canonical.push(b'"');
    canonical.extend_from_slice(&(string.len() as u64).to_be_bytes());
    canonical.extend_from_slice(string.as_bytes());
}
