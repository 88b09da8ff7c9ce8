//! Errors of schemas, and of variables that do not fit one.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;

use super::{MAX_BYTES, MAX_DEPTH, MAX_PATTERNS};
use crate::Language;

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
    pub fn explain(&self, language: Language) -> String {
        match self {
            Self::NotAnObject => language.pick(
                "O JSON Schema deve ser um objeto, por exemplo {\"type\": \"object\"}.".to_owned(),
                "The JSON Schema must be an object, for example {\"type\": \"object\"}.".to_owned(),
            ),
            Self::TooLong => language.pick(
                format!("O JSON Schema passa de {MAX_BYTES} bytes. Simplifique-o."),
                format!("The JSON Schema has more than {MAX_BYTES} bytes. Simplify it."),
            ),
            Self::TooDeep => language.pick(
                format!("O JSON Schema tem mais de {MAX_DEPTH} níveis. Simplifique-o."),
                format!("The JSON Schema is nested more than {MAX_DEPTH} deep. Simplify it."),
            ),
            Self::TooManyPatterns => language.pick(
                format!("O JSON Schema tem mais de {MAX_PATTERNS} expressões (pattern, patternProperties). Use menos."),
                format!("The JSON Schema has more than {MAX_PATTERNS} patterns (pattern, patternProperties). Use fewer."),
            ),
            Self::Reference { reference } => language.pick(
                format!("A referência \"{reference}\" não é aceita: nada é buscado fora e não há ciclos. Aponte para \"#/$defs/…\", e só de fora dele."),
                format!("The reference \"{reference}\" is not allowed: nothing is fetched and nothing may go in circles. Point into \"#/$defs/…\", and from outside only."),
            ),
            Self::Invalid { path, message } => language.pick(
                format!("O JSON Schema não é válido em \"{path}\": {message}."),
                format!("The JSON Schema is not valid at \"{path}\": {message}."),
            ),
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
    pub fn explain(&self, language: Language) -> String {
        let Self { pointer, keyword } = self;
        match keyword.as_str() {
            "required" => language.pick(
                format!("Falta a variável \"{pointer}\", exigida pelo modelo. Envie-a em \"variables\"."),
                format!("The variable \"{pointer}\" that the template requires is missing. Send it in \"variables\"."),
            ),
            "additionalProperties" | "unevaluatedProperties" => language.pick(
                format!("A variável \"{pointer}\" não está prevista no modelo. Remova-a ou corrija o nome."),
                format!("The template knows no variable \"{pointer}\". Remove it or mend its name."),
            ),
            _ => language.pick(
                format!("A variável \"{pointer}\" não atende à regra \"{keyword}\" do JSON Schema do modelo. Corrija o valor."),
                format!("The variable \"{pointer}\" breaks the rule \"{keyword}\" of the template's JSON Schema. Mend its value."),
            ),
        }
    }
}
