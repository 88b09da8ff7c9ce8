//! What an entry of the audit log holds of a change: the members that differ, each in a bounded size. Whole texts of
//! templates are in `template_versions`.

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Bytes of a text from which its hash and length are stored.
const LONG_TEXT: usize = 256;
/// Bytes of a member, as JSON, from which its hash and length are stored.
const LONG_MEMBER: usize = 1024;
/// Bytes of a state, as JSON, from which its hash and length are stored. An entry has two states.
const LONG_STATE: usize = 4000;

/// The states before and after a change. Of an object that was there before and after, each has the members that
/// differ.
pub(super) fn difference(
    before: &impl Serialize,
    after: &impl Serialize,
) -> serde_json::Result<(Option<Value>, Option<Value>)> {
    let (before, after) = match (serde_json::to_value(before)?, serde_json::to_value(after)?) {
        (Value::Object(before), Value::Object(after)) => {
            let only = |one: &Map<String, Value>, other: &Map<String, Value>| {
                let differs = |(name, value): &(&String, &Value)| other.get(*name) != Some(*value);
                Value::Object(one.iter().filter(differs).map(|(name, value)| (name.clone(), value.clone())).collect())
            };
            (only(&before, &after), only(&after, &before))
        }
        states => states,
    };
    Ok((bounded_state(before), bounded_state(after)))
}

fn bounded_state(state: Value) -> Option<Value> {
    let bounded = match state {
        Value::Null => return None,
        Value::Object(members) => {
            let bounded = |(name, value)| (name, or_hash(short_texts(value), LONG_MEMBER));
            Value::Object(members.into_iter().map(bounded).collect())
        }
        other => short_texts(other),
    };
    Some(or_hash(bounded, LONG_STATE))
}

/// The value with its long texts replaced.
fn short_texts(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() >= LONG_TEXT => hash_of(&text),
        Value::Array(items) => items.into_iter().map(short_texts).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, short_texts(value))).collect(),
        other => other,
    }
}

fn or_hash(value: Value, from: usize) -> Value {
    let text = value.to_string();
    if text.len() >= from { hash_of(&text) } else { value }
}

fn hash_of(text: &str) -> Value {
    let hash: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "sha256": hash, "bytes": text.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(before: &Value, after: &Value) -> (Option<Value>, Option<Value>) {
        difference(before, after).unwrap()
    }

    #[test]
    fn entry_of_an_update_has_the_members_that_changed() {
        let before = json!({"name": "a", "rate": 1, "gone": 5, "same": [1, 2]});
        let after = json!({"name": "b", "rate": 1, "new": 6, "same": [1, 2]});
        let expected = (json!({"name": "a", "gone": 5}), json!({"name": "b", "new": 6}));
        assert_eq!(of(&before, &after), (Some(expected.0), Some(expected.1)));
        assert_eq!(of(&Value::Null, &after), (None, Some(after)));
    }

    #[test]
    fn entry_has_at_most_8_kib_whatever_the_change() {
        let long = "é".repeat(4000);
        let texts = json!({"variations": [&long, "short"], "name": "n"});
        let (_, after) = of(&json!(null), &texts);
        let after = after.unwrap();
        assert_eq!(after["variations"][0]["bytes"], 8000);
        assert_eq!((&after["variations"][1], &after["name"]), (&json!("short"), &json!("n")));
        let (_, after) = of(&json!(null), &json!({"list": vec!["text"; 5000], "name": "n"}));
        let after = after.unwrap();
        assert_eq!(
            (&after["list"]["bytes"], &after["name"]),
            (&json!(35_001), &json!("n")),
            "a long list hides no name"
        );
        let many: Map<String, Value> =
            (0..500).map(|number| (format!("member-{number}"), json!("x".repeat(200)))).collect();
        for large in [json!({"list": vec![1; 5000]}), Value::Object(many), json!(vec!["text"; 5000]), json!(long)] {
            let (before, after) = of(&json!("other"), &large);
            let bytes = before.unwrap().to_string().len() + after.unwrap().to_string().len();
            assert!(bytes <= 8192, "{bytes}");
        }
    }
}
