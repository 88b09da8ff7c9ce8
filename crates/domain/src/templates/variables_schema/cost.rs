//! The cost of checking one contact against a schema, counted and not timed: the keywords that may be evaluated, after
//! references are expanded, and the characters that each pattern may read. `$defs` have no references, so no expansion
//! is endless.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{MAX_PATTERN, build};

/// Own variables of a contact, characters of one, and characters of its name.
const VARIABLES: u64 = 50;
const CHARACTERS: u64 = 1000;
const NAME: u64 = 40;
/// A pattern that compiles within so many bytes reads a character in one step. A larger one takes more: its states may
/// not fit the cache of the engine, which then follows them one by one.
const SMALL_PATTERN: usize = 1 << 10;

/// Steps; the maximum for a schema whose cost is not known.
pub(super) fn cost(schema: &Value) -> u64 {
    // References within a resource of its own are not relative to the root.
    let id = if schema["$schema"].as_str().is_some_and(|draft| draft.contains("draft-04")) { "id" } else { "$id" };
    let has_resources = schema.as_object().is_some_and(|members| members.values().any(|value| has_id(value, id)));
    if has_resources {
        return u64::MAX;
    }
    Root { schema, steps: RefCell::default() }.schema(schema, Instance::Variables)
}

fn has_id(value: &Value, id: &str) -> bool {
    match value {
        Value::Object(members) => {
            members.get(id).is_some_and(Value::is_string) || members.values().any(|value| has_id(value, id))
        }
        Value::Array(items) => items.iter().any(|value| has_id(value, id)),
        _ => false,
    }
}

/// What a schema is applied to. Keywords of objects do nothing at a variable, which is a scalar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Instance {
    Variables,
    Variable,
}

/// The root of a schema.
struct Root<'a> {
    schema: &'a Value,
    /// A pattern's steps for each character.
    steps: RefCell<HashMap<String, u64>>,
}

impl Root<'_> {
    fn schema(&self, schema: &Value, instance: Instance) -> u64 {
        let Value::Object(keywords) = schema else { return 1 };
        let own = sum(keywords.iter().map(|(name, value)| self.keyword(name, value, instance)));
        // For each variable it looks again which keywords of this schema evaluate it.
        let looks_again = instance == Instance::Variables && keywords.contains_key("unevaluatedProperties");
        if looks_again { own.saturating_mul(1 + VARIABLES) } else { own }
    }

    fn keyword(&self, name: &str, value: &Value, instance: Instance) -> u64 {
        match (name, value) {
            ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) => {
                let found = target.strip_prefix('#').and_then(|pointer| self.schema.pointer(pointer));
                found.map_or(u64::MAX, |schema| self.schema(schema, instance))
            }
            ("$defs" | "definitions", _) => 0,
            // Where no alternative fits, all are evaluated again for the error.
            ("allOf" | "anyOf" | "oneOf", Value::Array(items)) => {
                sum(items.iter().map(|item| self.schema(item, instance))).saturating_mul(2)
            }
            ("not" | "if" | "then" | "else", _) => self.schema(value, instance),
            ("pattern", Value::String(pattern)) if instance == Instance::Variable => self.pattern(pattern, CHARACTERS),
            ("format" | "contentEncoding" | "contentMediaType", _) => CHARACTERS,
            (_, Value::Object(members)) if instance == Instance::Variables => self.members(name, value, members),
            ("enum" | "const", _) => value.to_string().len() as u64,
            (_, Value::Array(items)) => 1 + items.len() as u64,
            _ => 1,
        }
    }

    /// A keyword of objects, whose value is an object.
    fn members(&self, name: &str, value: &Value, members: &Map<String, Value>) -> u64 {
        match name {
            "properties" => sum(members.values().map(|schema| 1 + self.schema(schema, Instance::Variable))),
            "dependentSchemas" | "dependencies" => {
                sum(members.values().map(|schema| self.schema(schema, Instance::Variables)))
            }
            "patternProperties" => sum(members.iter().map(|(pattern, schema)| {
                let each = self.pattern(pattern, NAME).saturating_add(self.schema(schema, Instance::Variable));
                each.saturating_mul(VARIABLES)
            })),
            "additionalProperties" | "propertyNames" | "unevaluatedProperties" => {
                self.schema(value, Instance::Variable).saturating_mul(VARIABLES)
            }
            _ => value.to_string().len() as u64,
        }
    }

    /// A pattern's steps for a text of so many characters.
    fn pattern(&self, pattern: &str, characters: u64) -> u64 {
        let mut steps = self.steps.borrow_mut();
        steps.entry(pattern.to_owned()).or_insert_with(|| steps_of(pattern)).saturating_mul(characters)
    }
}

/// A pattern's steps for each character, by its compiled size.
fn steps_of(pattern: &str) -> u64 {
    let schema = json!({ "pattern": pattern });
    let sizes = std::iter::successors(Some(SMALL_PATTERN), |size| size.checked_mul(2));
    let size = sizes.take_while(|size| *size < MAX_PATTERN).find(|size| build(&schema, *size).is_ok());
    (size.unwrap_or(MAX_PATTERN) / SMALL_PATTERN) as u64
}

fn sum(costs: impl Iterator<Item = u64>) -> u64 {
    costs.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::super::{MAX_COST, VariablesSchema};
    use super::*;

    /// Definitions with so many patterns, and so many references to them for each of fifty variables.
    fn referring(patterns: usize, references: usize) -> Value {
        let patterns: Vec<_> = (0..patterns).map(|n| json!({"pattern": format!("^[a-z]*{n}?$")})).collect();
        json!({
            "$defs": {"text": {"allOf": patterns}},
            "additionalProperties": {"allOf": vec![json!({"$ref": "#/$defs/text"}); references]},
        })
    }

    #[test]
    fn references_are_expanded_when_the_cost_is_counted() {
        let one = cost(&referring(1, 1));
        assert!((50 * 1000..300_000).contains(&one), "{one}");
        assert!((cost(&referring(31, 550)) / one).abs_diff(31 * 550) < 500);
        assert!(VariablesSchema::parse(&referring(1, 3)).is_ok());
        let error = VariablesSchema::parse(&referring(31, 550)).unwrap_err();
        assert_eq!(error.code(), "schema_too_costly");
        assert!(VariablesSchema::compile(&referring(31, 550)).is_ok(), "it may be stored already");
    }

    #[test]
    fn every_way_to_multiply_work_costs() {
        let costly = json!({"allOf": vec![json!({"pattern": "^a*$"}); 30]});
        let nested = |mut inner: Value, times: usize| {
            for _ in 0..times {
                inner = json!({"anyOf": [inner], "unevaluatedProperties": false});
            }
            inner
        };
        for schema in [
            json!({"patternProperties": {"a": costly}}),
            json!({"propertyNames": costly}),
            json!({"allOf": [{"additionalProperties": costly}]}),
            json!({"dependentSchemas": {"a": {"not": {"additionalProperties": costly}}}}),
            json!({"unevaluatedProperties": costly}),
            nested(json!({"properties": {"a": {"pattern": "^a*$"}}}), 3),
            json!({"additionalProperties": {"enum": vec![json!("0123456789"); 1500]}, "allOf": [{"$ref": "#/$defs/a"}],
                   "$defs": {"a": {"additionalProperties": {"enum": ["a".repeat(3000)]}}}}),
            json!({"properties": {"a": {"$id": "https://a.example", "$defs": {}}}}),
            json!({"additionalProperties": {"pattern": "^\\p{L}{1,20}$"}}),
        ] {
            assert!(cost(&schema) > MAX_COST, "{}: {schema}", cost(&schema));
        }
    }

    #[test]
    fn usual_schemas_are_far_below_the_budget() {
        let digits =
            |count: usize| json!({"type": "string", "pattern": format!("^[0-9]{{{count}}}$"), "maxLength": 20});
        let properties: Map<_, _> = (0..31).map(|n| (format!("v{n}"), digits(n + 1))).collect();
        let url = json!({"type": "string", "format": "uri", "pattern": "^https://"});
        for schema in [
            json!({"$id": "https://erp.example/a", "type": "object", "required": ["v1"], "properties": properties}),
            json!({"$defs": {"url": url}, "additionalProperties": {"$ref": "#/$defs/url"}}),
            json!({"properties": {"id": {"enum": ["a", "b"]}}, "unevaluatedProperties": false, "examples": [{"id": "x"}]}),
        ] {
            assert!(cost(&schema) < MAX_COST / 4, "{}: {schema}", cost(&schema));
        }
    }
}
