//! Splits a JSON object into its members without parsing them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::string::Reading;

/// More members than any request has; further members are ignored.
const MAX_MEMBERS: usize = 64;
/// Characters of a name; no member has a longer one.
const MAX_NAME: usize = 200;

/// The members of a JSON object in their order, each as JSON text.
pub(super) struct Members<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    /// Without this, the error would contain the whole text.
    fn visit_str<E: Error>(self, _: &str) -> Result<Members<'de>, E> {
        Err(E::custom("a string"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key_seed(Reading(|name: &str| name.chars().take(MAX_NAME).collect()))? {
            if members.len() < MAX_MEMBERS {
                members.push((name, map.next_value()?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Members(members))
    }
}
