//! Single members of a JSON object, read out of its text. What is skipped takes no memory, whatever its shape.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Deserializer as Json;
use serde_json::value::RawValue;

/// The texts of the members with these names; none for a member that is absent, and none for all when the JSON is no
/// object. Of equal names the last one counts.
pub(super) fn members<'a, const N: usize>(json: Option<&'a str>, names: [&str; N]) -> [Option<&'a str>; N] {
    let object = json.map(str::trim_start).filter(|json| json.starts_with('{'));
    let read = object.and_then(|object| Json::from_str(object).deserialize_map(Members(&names)).ok());
    read.unwrap_or([None; N])
}

/// The first characters of a string, `most` at most, and whether it has more; none for another value.
pub(super) fn string(json: Option<&str>, most: usize) -> Option<(String, bool)> {
    let string = json.filter(|json| json.starts_with('"'))?;
    Json::from_str(string).deserialize_str(Beginning(most)).ok()
}

/// A string of at most so many characters; none for a longer one, and for another value.
pub(super) fn short_string(json: Option<&str>, most: usize) -> Option<String> {
    string(json, most).filter(|(_, is_cut)| !is_cut).map(|(text, _)| text)
}

/// A value of a fixed size.
pub(super) fn scalar<T: serde::de::DeserializeOwned>(json: Option<&str>) -> Option<T> {
    serde_json::from_str(json.filter(|json| !json.starts_with(['{', '[', '"']))?).ok()
}

struct Members<'n, const N: usize>(&'n [&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<&'de str>; N];

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(place) = map.next_key_seed(Place(self.0))? {
            match place.and_then(|place| found.get_mut(place)) {
                Some(member) => *member = Some(map.next_value::<&RawValue>()?.get()),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(found)
    }
}

/// The place of a name among the names; no copy of the name is made.
struct Place<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Place<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|one| *one == name))
    }
}

struct Beginning(usize);

impl Visitor<'_> for Beginning {
    type Value = (String, bool);

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let end = text.char_indices().nth(self.0).map(|(end, _)| end);
        Ok((text[..end.unwrap_or(text.len())].to_owned(), end.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_by_name_and_the_last_of_equal_names_counts() {
        let json = r#" {"a":1,"skipped":[{"a":2}],"b":{"a":3}, "a" : "x" }"#;
        assert_eq!(members(Some(json), ["a", "b", "c"]), [Some("\"x\""), Some(r#"{"a":3}"#), None]);
        for other in ["[1]", "null", "\"a\"", "{", "{\"a\":}", ""] {
            assert_eq!(members(Some(other), ["a"]), [None], "{other}");
        }
    }

    #[test]
    fn string_is_cut_after_so_many_characters() {
        assert_eq!(string(Some(r#""\u00e9é""#), 2), Some(("éé".to_owned(), false)));
        assert_eq!(string(Some(r#""\u00e9éx""#), 2), Some(("éé".to_owned(), true)));
        assert_eq!(short_string(Some(r#""éé""#), 1), None);
        assert_eq!((string(Some("5"), 2), string(None, 2), string(Some(r#""\ud800""#), 2)), (None, None, None));
        assert_eq!(scalar::<i64>(Some("5")), Some(5));
        assert_eq!((scalar::<i64>(Some("5.0")), scalar::<i64>(Some("\"5\""))), (None, None));
    }
}
