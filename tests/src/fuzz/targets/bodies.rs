//! Whole bodies and files: posted batches, and the contact files of the command line.

use std::collections::HashSet;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use regua_domain::{MessageType, Variations};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{ensure, is_clean, is_e164};

pub(super) const BATCH_WORDS: &[&str] = &[
    "{\"external_id\":\"a\",\"contacts\":[",
    "]}",
    "{\"name\":\"Ana\",\"phone\":\"11988887777\"}",
    ",",
    "\"due_date\":\"2026-11-10\"",
    "\"amount\":\"1.50\"",
    "\"variables\":{\"x\":\"y\"}",
    "\"metadata\":{}",
    "\"scheduled_for\":\"2026-11-23T09:00:00-03:00\"",
    "\"dry_run\":true",
    "\"template\":\"t\"",
    "\"instance\":\"i\"",
    "\"name\":\"n\"",
    "\\u202e",
    "\\u0000",
    "\\ud800",
    "\"external_id\":\"a\"",
];
pub(super) const FILE_WORDS: &[&str] = &[
    "external_id",
    "name",
    "phone",
    "due_date",
    "amount",
    ",",
    ";",
    "\r\n",
    "\n",
    "\"",
    "\"\"",
    "Ana",
    "11988887777",
    "'=",
    "=",
    "+",
    "\t",
    "[",
    "{\"contacts\":[",
    "]}",
    "\u{feff}",
    "PK\u{3}\u{4}",
];

static VARIATIONS: LazyLock<Option<Variations>> = LazyLock::new(|| {
    let sources = ["Olá {{nome}}, {{#if x}}{{x}}{{/if}} {{#if valor}}{{valor}}{{/if}}", "{{nome}}: {{telefone}}"];
    Variations::parse(sources.map(str::to_owned).to_vec()).ok()
});

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_438_800, 0).unwrap_or_default()
}

fn types(input: &[u8]) -> MessageType {
    MessageType::ALL[input.len() % MessageType::ALL.len()]
}

pub(super) fn batch(input: &[u8]) -> Result<String, String> {
    let read = || {
        let variations = VARIATIONS.clone().ok_or("the templates are good")?;
        let schema = Some(json!({"properties": {"x": {"maxLength": 100}}}));
        Ok::<_, String>(regua_api::harness::compose_batch(input, types(input), variations, schema, now()))
    };
    let (first, second) = (read()?, read()?);
    let (parsed, again) = match (first, second) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(first), Err(second)) if first == second => return Ok(first.to_owned()),
        _ => return Err("equal inputs have equal results".to_owned()),
    };
    let rows = &parsed.contacts;
    ensure(
        parsed.fingerprint == again.fingerprint && rows.texts == again.contacts.texts,
        "equal inputs have equal results",
    )?;
    ensure(rows.ids.len() + parsed.rejected.len() == parsed.posted, "every contact is accepted or rejected")?;
    ensure((1..=10_000).contains(&parsed.posted), "a batch has 1 to 10,000 contacts")?;
    for text in &parsed.texts {
        ensure(
            !text.trim().is_empty() && text.chars().count() <= 220 && is_clean(text, &[]),
            "a batch's texts can be stored",
        )?;
    }
    ensure(!holds_nul(&parsed.metadata), "metadata can be stored")?;
    rows_can_be_stored(rows)?;
    Ok(format!(
        "accepted {} {:?}",
        rows.ids.len().min(3),
        parsed.rejected.first().map(|(_, field)| field.chars().take(12).collect::<String>())
    ))
}

fn rows_can_be_stored(rows: &regua_store::intake::NewContacts) -> Result<(), String> {
    ensure(rows.positions.is_sorted_by(|before, after| before < after), "positions grow")?;
    let ids: Vec<_> = rows.external_ids.iter().flatten().collect();
    ensure(ids.iter().collect::<HashSet<_>>().len() == ids.len(), "an id is accepted once")?;
    ensure(ids.iter().all(|id| id.chars().count() <= 200 && is_clean(id, &[])), "an id can be stored")?;
    ensure(rows.phones.iter().all(|phone| is_e164(phone)), "a phone fits its column")?;
    ensure(
        rows.amounts.iter().flatten().all(|cents| (1..=99_999_999_999).contains(cents)),
        "an amount fits its column",
    )?;
    ensure(rows.variations.iter().all(|variation| (1..=5).contains(variation)), "a variation fits its column")?;
    ensure(
        rows.texts.iter().all(|text| (1..=4096).contains(&text.chars().count())),
        "the length of a text fits its column",
    )?;
    ensure(rows.texts.iter().all(|text| is_clean(text, &['\n', '\t'])), "a text holds nothing invisible")?;
    let is_object =
        |text: &String| serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object() && !holds_nul(&value));
    ensure(rows.variables.iter().chain(&rows.metadata).all(is_object), "JSON can be stored")?;
    let lengths = [
        rows.positions.len(),
        rows.names.len(),
        rows.phones.len(),
        rows.texts.len(),
        rows.references.len(),
        rows.due_dates.len(),
    ];
    ensure(lengths.iter().all(|length| *length == rows.ids.len()), "every column has a value for every row")
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

pub(super) fn contact_file(input: &[u8]) -> Result<String, String> {
    let message_type = types(input);
    let read = || regua::harness::contact_file(input, message_type);
    let (id, contacts) = match (read(), read()) {
        (Ok(first), Ok(second)) if first == second => first,
        (Err(first), Err(_)) => {
            return Ok(first.to_string().chars().filter(|other| other.is_alphabetic()).take(16).collect());
        }
        _ => return Err("equal inputs have equal results".to_owned()),
    };
    ensure(id.len() == 37 && id.starts_with("file-"), "a file has an id")?;
    ensure(!contacts.is_empty(), "a file has contacts")?;
    let mut places = HashSet::new();
    for (place, contact) in &contacts {
        ensure(serde_json::from_str::<&RawValue>(contact).is_ok(), "a contact is JSON with any strings")?;
        ensure(places.insert(place), "places are unique")?;
    }
    Ok(format!("accepted {}", contacts.len().min(3)))
}

/// A written cell is no formula, and the parser of contact files restores it.
pub(super) fn export(input: &[u8]) -> Result<String, String> {
    let cell = String::from_utf8_lossy(input).replace('\0', " ");
    let guarded = regua::harness::guarded(&cell);
    ensure(!guarded.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "a cell is no formula")?;
    let file = format!("name;phone;x\nAna;11;\"{}\"\n", guarded.replace('"', "\"\""));
    let (_, contacts) = regua::harness::contact_file(file.as_bytes(), MessageType::Notification)
        .map_err(|error| format!("an exported cell is parsed: {error}"))?;
    let contact: Value =
        contacts.first().and_then(|(_, json)| serde_json::from_str(json).ok()).ok_or("a row is a contact")?;
    let read = contact["variables"]["x"].as_str().unwrap_or_default();
    let expected = if guarded == cell { cell.trim() } else { cell.trim_end() };
    // A guarded cell of white space is trimmed to its guard.
    ensure(read == expected || (expected.is_empty() && matches!(read, "" | "'")), "an exported cell is restored")?;
    Ok(format!("guarded {}", guarded != cell))
}
