//! A template's optional JSON Schema of own variables. The schema is a tenant's text: nothing is fetched, and patterns
//! run in linear time. Its cost is counted when it is stored.

mod cost;
mod error;

use std::fmt;

use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Number, Value};

pub use error::{SchemaError, SchemaViolation};

const MAX_BYTES: usize = 20_000;
const MAX_DEPTH: usize = 16;
/// Most patterns, with `patternProperties`, and the bytes of the largest compiled one: every batch compiles the schema,
/// and `\\w{500}` has only eight letters.
const MAX_PATTERNS: usize = 32;
const MAX_PATTERN: usize = 256 << 10;
/// Most steps of checking one contact: some milliseconds, and tens of them for a pattern made to be slow.
const MAX_COST: u64 = 1_000_000;

/// A compiled schema.
pub struct VariablesSchema {
    validator: Validator,
}

impl VariablesSchema {
    /// Compiles a schema that is to be stored, if checking a contact against it costs no more than the budget.
    pub fn parse(schema: &Value) -> Result<Self, SchemaError> {
        let compiled = Self::compile(schema)?;
        if cost::cost(schema) > MAX_COST { Err(SchemaError::TooCostly) } else { Ok(compiled) }
    }

    /// Compiles a stored schema, whatever it costs: an earlier version may have accepted it. References may only point
    /// into its `$defs`, and `$defs` have none.
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
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
        let validator = build(schema, MAX_PATTERN);
        let invalid = |error: ValidationError<'_>| SchemaError::Invalid {
            path: error.instance_path().as_str().to_owned(),
            message: error.masked().to_string(),
        };
        validator.map(|validator| Self { validator }).map_err(invalid)
    }

    /// Checks a contact's own variables. The error names the first field that does not fit, without its value. A number
    /// that is a text because of its digits (`1.50`) fits as a number too.
    pub fn check(&self, variables: &Map<String, Value>) -> Result<(), SchemaViolation> {
        let instance = Value::Object(variables.clone());
        let Err(error) = self.validator.validate(&instance) else { return Ok(()) };
        let numbers = Value::Object(variables.iter().map(|(name, value)| (name.clone(), as_number(value))).collect());
        let fits = numbers != instance && self.validator.is_valid(&numbers);
        if fits { Ok(()) } else { Err(SchemaViolation::of(&error)) }
    }
}

impl fmt::Debug for VariablesSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VariablesSchema")
    }
}

/// The JSON number of a text that [`exact_number`](crate::exact_number) made of it; any other value stays.
fn as_number(value: &Value) -> Value {
    let number = value
        .as_str()
        .and_then(|text| serde_json::from_str::<Number>(text).ok().filter(|number| number.to_string() != text));
    number.map_or_else(|| value.clone(), Value::Number)
}

/// Compiles a schema whose patterns take at most so many bytes each.
fn build(schema: &Value, largest_pattern: usize) -> Result<Validator, ValidationError<'static>> {
    let patterns = PatternOptions::regex().size_limit(largest_pattern);
    jsonschema::options().offline().with_pattern_options(patterns).build(schema)
}

/// Depth of nested lists and objects. The JSON reader limits the recursion.
fn depth(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

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

/// A reference that points outside the definitions, or is within them: cyclic definitions would make the validator
/// loop.
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

    /// Run it with `--nocapture`: the times are printed beside the counted costs, and none is asserted.
    #[test]
    fn costliest_schemas_are_checked_quickly() {
        let value =
            |n: u32| (0..1000u32).map(|i| if (i * i + n * i / 7) % 5 < 2 { 'a' } else { 'b' }).collect::<String>();
        let values: Map<String, Value> = (0..50).map(|n| (format!("v{n}"), json!(value(n)))).collect();
        for (pattern, count) in
            [("^(a?){50}.*$", 9), ("^(.*a.*)*b?$", 9), ("[ab]*a[ab]{99}c?", 9), ("^(\\p{L}{1,3}|.{1,5}a)*b?$", 1)]
        {
            let patterns: Vec<_> = (0..count).map(|n| json!({"pattern": format!("{pattern}|^{n}$")})).collect();
            let schema = json!({"additionalProperties": {"allOf": patterns}});
            let started = std::time::Instant::now();
            let compiled = VariablesSchema::compile(&schema).unwrap();
            let built = started.elapsed();
            assert_eq!(compiled.check(&values), Ok(()), "{pattern}");
            let checked = started.elapsed().saturating_sub(built);
            println!("{pattern}: built in {built:?}, checked in {checked:?}, {} steps", cost::cost(&schema));
        }
    }

    #[test]
    fn violation_names_the_field_and_not_its_value() {
        for (variables, pointer, keyword) in [
            (json!({}), "/link_boleto", "required"),
            (json!({"link_boleto": "http://segredo"}), "/link_boleto", "pattern"),
            (json!({"link_boleto": "https://x", "parcela": "segredo"}), "/parcela", "type"),
            (json!({"link_boleto": "https://x", "parcela": 0}), "/parcela", "minimum"),
            (json!({"link_boleto": "https://x", "a/b": "segredo"}), "/a~1b", "additionalProperties"),
        ] {
            let violation = schema().check(variables.as_object().unwrap()).unwrap_err();
            assert_eq!((violation.pointer.as_str(), violation.keyword.as_str()), (pointer, keyword));
            let text = format!("{:?}", violation.text());
            assert!(text.contains(pointer) && !text.contains("segredo"), "{text}");
        }
        assert_eq!(schema().check(json!({"link_boleto": "https://x"}).as_object().unwrap()), Ok(()));
    }

    #[test]
    fn number_with_all_its_digits_is_a_number_for_the_schema() {
        for json in ["7", "2.00", "34191790010104351004791020150008597730026000"] {
            let variables = json!({"link_boleto": "https://x", "parcela": crate::exact_number(json)});
            assert_eq!(schema().check(variables.as_object().unwrap()), Ok(()), "{json}");
        }
    }

    #[test]
    fn violation_of_a_very_long_name_is_short() {
        let schema = VariablesSchema::parse(&json!({"required": ["x".repeat(19_000)]})).unwrap();
        assert_eq!(schema.check(&Map::new()).unwrap_err().pointer.len(), 100);
    }

    #[test]
    fn invalid_schema_and_outside_reference_are_refused() {
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
            (json!({"additionalProperties": {"allOf": vec![json!({"pattern": "^a*$"}); 32]}}), "schema_too_costly"),
        ] {
            assert_eq!(VariablesSchema::parse(&schema).unwrap_err().code(), code, "{schema}");
        }
    }
}
