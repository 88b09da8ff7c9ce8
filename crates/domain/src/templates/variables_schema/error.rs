//! Errors of schemas, and of variables that do not fit one.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;

use super::{MAX_BYTES, MAX_DEPTH, MAX_PATTERNS};
use crate::Text;

/// Why a JSON value is not a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Not a JSON object.
    #[error("a schema is a JSON object")]
    NotAnObject,
    /// Above 20,000 bytes.
    #[error("the schema has more than 20000 bytes")]
    TooLong,
    /// Nested more than 16 deep.
    #[error("the schema is nested more than 16 deep")]
    TooDeep,
    /// More than 32 patterns.
    #[error("the schema has more than 32 patterns")]
    TooManyPatterns,
    /// A reference that points outside `#/$defs/`, or is within it.
    #[error("the reference {reference:?} does not point from outside into #/$defs/")]
    Reference {
        /// The reference, cut short.
        reference: String,
    },
    /// Not valid JSON Schema.
    #[error("not a valid JSON Schema at {path:?}: {message}")]
    Invalid {
        /// JSON pointer into the schema.
        path: String,
        /// The library's message.
        message: String,
    },
}

impl SchemaError {
    /// Stable name in problem documents.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnObject => "schema_not_an_object",
            Self::TooLong => "schema_too_long",
            Self::TooDeep => "schema_too_deep",
            Self::TooManyPatterns => "schema_too_many_patterns",
            Self::Reference { .. } => "schema_reference",
            Self::Invalid { .. } => "schema_invalid",
        }
    }

    /// The explanation for people.
    pub fn text(&self) -> Text {
        let text = Text::of_code(self.code());
        match self {
            Self::NotAnObject => text,
            Self::TooLong => text.with("most", MAX_BYTES),
            Self::TooDeep => text.with("most", MAX_DEPTH),
            Self::TooManyPatterns => text.with("most", MAX_PATTERNS),
            Self::Reference { reference } => text.with("reference", reference),
            Self::Invalid { path, message } => text.with("path", path).with("message", message),
        }
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
        Self { pointer: pointer.as_str().to_owned(), keyword: error.kind().keyword().to_owned() }
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
