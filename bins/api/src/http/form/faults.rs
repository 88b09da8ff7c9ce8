//! The faults of texts and of free-form objects.

use regua_domain::{Text, code_point, refused_character};
use serde_json::Value;

/// Levels of a free-form object.
const MAX_DEPTH: usize = 16;

/// The fault of a text, as a code and its text; none: the text is accepted.
pub(crate) fn text_fault(text: &str, most: usize) -> Option<(&'static str, Text)> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        return Some(("empty", Text::of("field-empty")));
    }
    if length > most {
        return Some(("too_long", Text::of("field-too-long").with("length", length).with("most", most)));
    }
    let (_, character) = refused_character(text, &[])?;
    let text = Text::of("field-invisible-character").with("character", code_point(character));
    Some(("invalid_characters", text))
}

/// The fault of a free-form object, which is stored and answered unchanged. Its texts may have line ends. Invisible
/// characters are refused, because consoles show the object and exports contain it.
pub(crate) fn object_fault(object: &Value, bytes: usize, most: usize) -> Option<(&'static str, Text)> {
    if bytes > most {
        return Some(("too_large", Text::of("object-too-large").with("bytes", bytes).with("most", most)));
    }
    if depth(object) > MAX_DEPTH {
        return Some(("too_deep", Text::of("object-too-deep").with("most", MAX_DEPTH)));
    }
    let text = Text::of("object-invisible-character").with("character", code_point(refused_in(object)?));
    Some(("invalid_characters", text))
}

/// Levels of a value. The JSON parser limits the recursion.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn refused_in(value: &Value) -> Option<char> {
    let refused = |text: &str| refused_character(text, &['\n', '\r', '\t']).map(|(_, character)| character);
    match value {
        Value::String(text) => refused(text),
        Value::Array(items) => items.iter().find_map(refused_in),
        Value::Object(members) => members.iter().find_map(|(name, value)| refused(name).or_else(|| refused_in(value))),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}
