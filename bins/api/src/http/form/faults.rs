//! The errors of a request, and the faults of texts and of free-form objects.

use regua_domain::{CodePoint, Language, Text, printable, refused_character};
use serde_json::Value;

use crate::http::error::{Code, FieldError, Problem};

/// Levels of a free-form object.
const MAX_DEPTH: usize = 16;

/// The errors of a body or of query parameters, answered together.
pub(crate) struct Faults {
    language: Language,
    pub(crate) errors: Vec<FieldError>,
    unknown: Vec<FieldError>,
}

impl Faults {
    pub(crate) fn new(language: Language) -> Self {
        Self { language, errors: Vec::new(), unknown: Vec::new() }
    }

    /// Adds an error.
    pub(crate) fn refuse(&mut self, field: &str, code: &str, text: &Text) {
        self.errors.push(FieldError::new(field, code, text, self.language));
    }

    /// Adds an error for each name that the handler does not read.
    pub(crate) fn refuse_unknown<'n>(&mut self, names: impl Iterator<Item = &'n String>, code: &str, text: &Text) {
        self.unknown.extend(names.map(|name| FieldError::new(&printable_name(name), code, text, self.language)));
    }

    /// The problem with all errors; those of unknown names are the last.
    pub(crate) fn answer(mut self) -> Result<(), Problem> {
        self.errors.append(&mut self.unknown);
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::with_errors(Code::ValidationFailed, self.errors)) }
    }
}

/// A name of the caller's, as an answer may repeat it.
pub(crate) fn printable_name(name: &str) -> String {
    printable(name, 60)
}

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
    let text = Text::of("field-invisible-character").with("character", CodePoint(character));
    Some(("invalid_characters", text))
}

/// The fault of a free-form object, which is stored and answered unchanged. Its texts may have line ends. Invisible
/// characters are refused, because consoles show the object and exports contain it.
pub(crate) fn object_fault(object: &Value, bytes: usize, most: usize) -> Option<(&'static str, Text)> {
    if bytes > most {
        return Some(too_large(bytes, most));
    }
    if depth(object) > MAX_DEPTH {
        return Some(("too_deep", Text::of("object-too-deep").with("most", MAX_DEPTH)));
    }
    let text = Text::of("object-invisible-character").with("character", CodePoint(refused_in(object)?));
    Some(("invalid_characters", text))
}

/// The fault of an object of more than `most` bytes.
pub(crate) fn too_large(bytes: usize, most: usize) -> (&'static str, Text) {
    ("too_large", Text::of("object-too-large").with("bytes", bytes).with("most", most))
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
