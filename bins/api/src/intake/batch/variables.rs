//! The posted variables of a contact. Their memory is bounded by their number and by the size of each.

use std::fmt;

use regua_domain::{MAX_VARIABLES, VariablesError, exact_number};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Deserializer as Json, Map, Value};

use super::MAX_PARSED_BYTES;
use crate::http::Reading;

/// Characters of a name; a variable has a shorter one.
const MAX_NAME: usize = 100;

type Posted = Result<Map<String, Value>, VariablesError>;

/// The posted variables, before they are checked; none: the JSON text is no valid object.
pub(super) fn posted_variables(json: &str) -> Option<Posted> {
    Json::from_str(json).deserialize_map(PostedVisitor).ok()
}

struct PostedVisitor;

impl<'de> Visitor<'de> for PostedVisitor {
    type Value = Posted;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Posted, A::Error> {
        let (mut posted, mut further) = (Map::new(), 0);
        let name = |name: &str| name.chars().take(MAX_NAME).collect::<String>();
        while let Some(name) = map.next_key_seed(Reading(name))? {
            let json = map.next_value::<&RawValue>()?.get();
            if posted.len() < MAX_VARIABLES || posted.contains_key(&name) {
                posted.insert(name, parse(json).map_err(serde::de::Error::custom)?);
            } else {
                further += 1;
            }
        }
        Ok(if further > 0 { Err(VariablesError::TooMany { count: posted.len() + further }) } else { Ok(posted) })
    }
}

/// A value. What is no scalar, or too long for a variable whatever it contains, is refused as such without being parsed.
fn parse(json: &str) -> serde_json::Result<Value> {
    match json {
        _ if json.starts_with(['[', '{']) => Ok(Value::Array(Vec::new())),
        _ if json.len() > MAX_PARSED_BYTES => Ok(Value::String("-".repeat(MAX_PARSED_BYTES))),
        _ if json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => Ok(exact_number(json)),
        _ => serde_json::from_str(json),
    }
}
