//! Errors of schemas, and of variables that do not fit one.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;

use super::{MAX_BYTES, MAX_DEPTH, MAX_PATTERNS};
use crate::Text;

/// Characters of a violation's pointer. A variable's name has at most forty.
const MAX_POINTER: usize = 100;

input_error! {
    /// Why a JSON value is not a schema.
    pub enum SchemaError {
        NotAnObject = "schema_not_an_object", "a schema is a JSON object";
        TooLong = "schema_too_long", "the schema has more than 20000 bytes", with most = MAX_BYTES;
        TooDeep = "schema_too_deep", "the schema is nested more than 16 deep", with most = MAX_DEPTH;
        TooManyPatterns = "schema_too_many_patterns", "the schema has more than 32 patterns", with most = MAX_PATTERNS;
        TooCostly = "schema_too_costly", "checking a contact against the schema takes too many steps";
        Reference { reference: String } = "schema_reference",
            "the reference {reference:?} does not point from outside into #/$defs/";
        Invalid { path: String, message: String } = "schema_invalid", "not a valid JSON Schema at {path:?}: {message}";
    }
}

/// The own variables do not fit the schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer:?} does not fit {keyword:?} of the template's schema")]
pub struct SchemaViolation {
    /// JSON pointer of the field, such as `/link_boleto`, also where it is missing.
    pub pointer: String,
    /// The violated keyword, such as `required`, `type` or `pattern`.
    pub keyword: String,
}

impl SchemaViolation {
    pub(super) fn of(error: &ValidationError<'_>) -> Self {
        let parent = error.instance_path();
        let child = match error.kind() {
            ValidationErrorKind::Required { property } => property.as_str(),
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected.first().map(String::as_str),
            _ => None,
        };
        let pointer = child.map_or_else(|| parent.clone(), |child| parent.join(child));
        // A schema may require a name of any length; the answer repeats the pointer for each contact.
        Self {
            pointer: pointer.as_str().chars().take(MAX_POINTER).collect(),
            keyword: error.kind().keyword().to_owned(),
        }
    }

    /// Stable name in problem documents.
    pub fn code(&self) -> &'static str {
        "variables_schema"
    }

    /// The explanation for people.
    pub fn text(&self) -> Text {
        let text = match self.keyword.as_str() {
            "required" => Text::of("variables-schema-required"),
            "additionalProperties" | "unevaluatedProperties" => Text::of("variables-schema-additional"),
            keyword => Text::of_code(self.code()).with("keyword", keyword),
        };
        text.with("pointer", &self.pointer)
    }
}
