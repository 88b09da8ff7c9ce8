//! Reads a JSON string where it stands, so that a long one is judged before it is copied.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, Visitor};
use serde_json::Deserializer as Json;

/// What `read` makes of a JSON string; none for another value.
pub(crate) fn read_string<T>(json: &str, read: impl FnOnce(&str) -> T) -> Option<T> {
    Reading(read).deserialize(&mut Json::from_str(json)).ok()
}

/// The next string of a deserializer, as the function reads it.
pub(crate) struct Reading<F>(pub(crate) F);

impl<'de, T, F: FnOnce(&str) -> T> DeserializeSeed<'de> for Reading<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T, F: FnOnce(&str) -> T> Visitor<'_> for Reading<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok((self.0)(text))
    }
}
