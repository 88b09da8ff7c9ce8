//! The fingerprint of a batch: SHA-256 over its type and its values. The order of JSON members, white space, `dry_run`,
//! and the difference between `null` and an absent member do not change it, except within a contact that is too large
//! to be parsed.

use regua_domain::MessageType;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{Batch, MAX_PARSED_BYTES};

/// Digits of a number from which a float is not exact.
const INEXACT_DIGITS: usize = 16;

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
        // A number such as 1e400 is valid and has no value.
        let is_valid = value.is_some() || !is_parsed || serde_json::from_str::<IgnoredAny>(json).is_ok();
        match &value {
            Some(value) => {
                write(value, &mut canonical);
                write_inexact_numbers(json, &mut canonical);
            }
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

/// The numbers whose value may not be exact, as they are written: two boleto lines may have the same value.
fn write_inexact_numbers(json: &str, canonical: &mut Vec<u8>) {
    let is_of_number = |other: char| other.is_ascii_digit() || matches!(other, '-' | '+' | '.' | 'e' | 'E');
    let numbers = outside_strings(json).into_iter().flat_map(|part| part.split(|other| !is_of_number(other)));
    let mut inexact: Vec<_> = numbers.filter(|number| number.len() >= INEXACT_DIGITS).collect();
    inexact.sort_unstable();
    inexact.into_iter().for_each(|number| text(number, canonical));
}

/// The parts of a valid JSON text that are not in strings.
fn outside_strings(json: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), json);
    while let Some((part, string)) = rest.split_once('"') {
        parts.push(part);
        rest = string.get(string_end(string)..).unwrap_or_default();
    }
    parts.push(rest);
    parts
}

/// The position after the quote that ends a string.
fn string_end(string: &str) -> usize {
    let mut is_escaped = false;
    let end = string.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(string.len(), |end| end + 1)
}

fn text(string: &str, canonical: &mut Vec<u8>) {
    begin_text(string, canonical);
    canonical.extend_from_slice(string.as_bytes());
}

fn begin_text(string: &str, canonical: &mut Vec<u8>) {
    canonical.push(b'"');
    canonical.extend_from_slice(&(string.len() as u64).to_be_bytes());
}
