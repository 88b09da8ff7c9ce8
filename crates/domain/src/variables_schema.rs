//! A template's optional JSON Schema for the ERP's own variables. Nothing is ever fetched, and patterns run in linear time,
//! for the schema is a tenant's text.

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use crate::Language;

/// Longest schema taken, in bytes of JSON.
const MAX_BYTES: usize = 20_000;
/// Deepest nesting taken.
const MAX_DEPTH: usize = 16;
/// Most patterns, `patternProperties` included, and the largest one when compiled, in bytes: a schema is compiled with every
/// batch, and `\\w{500}` takes eight letters to write.
const MAX_PATTERNS: usize = 32;
const MAX_PATTERN: usize = 256 << 10;

/// A compiled schema. Compile once, check every contact.
pub struct VariablesSchema {
    validator: Validator,
}

impl VariablesSchema {
    /// Compiles a schema; references may only point into its `$defs`, and `$defs` hold none.
    ///
    /// # Errors
    /// [`SchemaError`] where it is no object, too long, no valid schema, or refers to anything outside.
    pub fn parse(schema: &Value) -> Result<Self, SchemaError> {
        if !schema.is_object() {
            return Err(SchemaError::NotAnObject);
        }
        if schema.to_string().len() > MAX_BYTES {
            return Err(SchemaError::TooLong);
        }
        if depth(schema) > MAX_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        if patterns(schema) > MAX_PATTERNS {
            return Err(SchemaError::TooManyPatterns);
        }
        if let Some(reference) = forbidden_reference(schema, false) {
            return Err(SchemaError::Reference { reference: reference.chars().take(100).collect() });
        }
        let options = jsonschema::options().offline();
        let patterns = PatternOptions::regex().size_limit(MAX_PATTERN);
        let validator = options.with_pattern_options(patterns).build(schema);
        let invalid = |error: ValidationError<'_>| SchemaError::Invalid {
            path: error.instance_path().as_str().to_owned(),
            message: error.masked().to_string(),
        };
        validator.map(|validator| Self { validator }).map_err(invalid)
    }

    /// Checks a contact's own variables.
    ///
    /// # Errors
    /// [`SchemaViolation`] names the first field that does not fit. Values are not repeated, for they are a debtor's.
    pub fn check(&self, variables: &Map<String, Value>) -> Result<(), SchemaViolation> {
        let instance = Value::Object(variables.clone());
        self.validator.validate(&instance).map_err(|error| SchemaViolation::of(&error))
    }
}

impl fmt::Debug for VariablesSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VariablesSchema")
    }
}

/// How many lists and objects are in one another. The reader of JSON bounds the recursion.
fn depth(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

/// How many patterns there may be to compile.
fn patterns(value: &Value) -> usize {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match (name.as_str(), value) {
                ("pattern", Value::String(_)) => 1,
                ("patternProperties", Value::Object(named)) => named.len() + patterns(value),
                _ => patterns(value),
            })
            .sum(),
        Value::Array(items) => items.iter().map(patterns).sum(),
        _ => 0,
    }
}

/// A reference that leads anywhere but into the schema's definitions, or stands within them: definitions that refer to each
/// other can go in circles, and a validator that follows them never ends.
fn forbidden_reference(schema: &Value, in_definitions: bool) -> Option<&str> {
    match schema {
        Value::Object(members) => members.iter().find_map(|(name, value)| match (name.as_str(), value) {
            ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) => {
                let is_inside = target.starts_with("#/$defs/") || target.starts_with("#/definitions/");
                (in_definitions || !is_inside).then_some(target.as_str())
            }
            ("$defs" | "definitions", value) => forbidden_reference(value, true),
            (_, value) => forbidden_reference(value, in_definitions),
        }),
        Value::Array(items) => items.iter().find_map(|item| forbidden_reference(item, in_definitions)),
        _ => None,
    }
}

/// Why a JSON value is no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A list, a text, a boolean…
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
    /// A reference to something outside of `#/$defs/`, or from within.
    #[error("the reference {reference:?} does not point from outside into #/$defs/")]
    Reference {
        /// Where it points, cut short.
        reference: String,
    },
    /// Not valid JSON Schema.
    #[error("not a valid JSON Schema at {path:?}: {message}")]
    Invalid {
        /// JSON pointer into the schema.
        path: String,
        /// The library's words.
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

    /// What is wrong, what is expected, how to mend it.
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

/// A contact's variables do not fit the template's schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer:?} does not fit {keyword:?} of the template's schema")]
pub struct SchemaViolation {
    /// JSON pointer of the field, such as `/link_boleto`; of a missing field, where it should stand.
    pub pointer: String,
    /// The rule of the schema that it breaks, such as `required`, `type` or `pattern`.
    pub keyword: String,
}

impl SchemaViolation {
    fn of(error: &ValidationError<'_>) -> Self {
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

    /// Which variable, and what is expected of it.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> VariablesSchema {
        let schema = json!({
            "type": "object",
            "required": ["link_boleto"],
            "additionalProperties": false,
            "$defs": {"url": {"type": "string", "pattern": "^https://"}},
            "properties": {"link_boleto": {"$ref": "#/$defs/url"}, "parcela": {"type": "integer", "minimum": 1}},
        });
        VariablesSchema::parse(&schema).unwrap()
    }

    fn many_patterns(count: usize) -> Value {
        Value::Object((0..count).map(|n| (format!("^x{n}$"), json!({}))).collect())
    }

    /// A schema is compiled with every batch, and asked about every contact.
    #[test]
    fn the_costliest_schema_is_soon_compiled_and_soon_asked() {
        let pattern = json!({"type": "string", "pattern": "^(\\w{1,20}|.{1,20}a)*b$"});
        let properties: Map<String, Value> = (0..32).map(|n| (format!("v{n}"), pattern.clone())).collect();
        let values: Map<String, Value> = (0..32).map(|n| (format!("v{n}"), json!("a".repeat(999) + "b"))).collect();
        let started = std::time::Instant::now();
        let schema = VariablesSchema::parse(&json!({"properties": properties})).unwrap();
        let compiled = started.elapsed();
        assert_eq!(schema.check(&values), Ok(()));
        println!("compiled in {compiled:?}, asked in {:?}", started.elapsed().saturating_sub(compiled));
        assert!(started.elapsed().as_secs() < 5);
    }

    #[test]
    fn the_field_that_does_not_fit_is_named_and_its_value_is_not() {
        for (variables, pointer, keyword) in [
            (json!({}), "/link_boleto", "required"),
            (json!({"link_boleto": "http://segredo"}), "/link_boleto", "pattern"),
            (json!({"link_boleto": "https://x", "parcela": "segredo"}), "/parcela", "type"),
            (json!({"link_boleto": "https://x", "parcela": 0}), "/parcela", "minimum"),
            (json!({"link_boleto": "https://x", "a/b": "segredo"}), "/a~1b", "additionalProperties"),
        ] {
            let violation = schema().check(variables.as_object().unwrap()).unwrap_err();
            assert_eq!((violation.pointer.as_str(), violation.keyword.as_str()), (pointer, keyword));
            for language in [Language::Portuguese, Language::English] {
                assert!(
                    violation.explain(language).contains(pointer) && !violation.explain(language).contains("segredo")
                );
            }
        }
        assert_eq!(schema().check(json!({"link_boleto": "https://x"}).as_object().unwrap()), Ok(()));
    }

    #[test]
    fn what_is_no_schema_or_reaches_outside_is_refused() {
        for (schema, code) in [
            (json!(true), "schema_not_an_object"),
            (json!([]), "schema_not_an_object"),
            (json!({"type": "texto"}), "schema_invalid"),
            (json!({"properties": {"a": {"pattern": "("}}}), "schema_invalid"),
            (json!({"properties": {"a": {"$ref": "#/$defs/missing"}}}), "schema_invalid"),
            (json!({"$ref": "https://example.com/schema.json"}), "schema_reference"),
            (json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}), "schema_reference"),
            (json!({"$ref": "#"}), "schema_reference"),
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}), "schema_reference"),
            (
                json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}}),
                "schema_reference",
            ),
            (json!({"$schema": "https://example.com/meta.json"}), "schema_invalid"),
            (json!({"description": "x".repeat(20_001)}), "schema_too_long"),
            ((0..17).fold(json!({}), |inner, _| json!({"not": inner})), "schema_too_deep"),
            (json!({"allOf": vec![json!({"pattern": "x"}); 33]}), "schema_too_many_patterns"),
            (json!({"patternProperties": many_patterns(33)}), "schema_too_many_patterns"),
            (json!({"properties": {"a": {"pattern": "(\\w{1000}){1000}"}}}), "schema_invalid"),
        ] {
            assert_eq!(VariablesSchema::parse(&schema).unwrap_err().code(), code, "{schema}");
        }
    }
}
