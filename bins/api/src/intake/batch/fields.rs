//! The members of a contact, as JSON text. A member is parsed when it is read, and only if its size allows it.

use std::collections::BTreeSet;
use std::fmt;

use regua_domain::{present, printable};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Deserializer as Json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::MAX_ID_LENGTH;
use crate::http::{Reading, printable_name, read_string};

const NAMES: [&str; 7] = ["external_id", "name", "phone", "due_date", "amount", "variables", "metadata"];
/// Unknown names of one contact: more than a batch warns about, and than earlier contacts had, together.
const MAX_UNKNOWN: usize = 40;

/// The members of a contact by name. Of equal names the last one counts.
#[derive(Default)]
pub(crate) struct Fields<'a> {
    known: [Option<&'a str>; NAMES.len()],
    /// The first names, in their order, of the members that do not exist.
    pub(super) unknown: BTreeSet<String>,
}

impl<'a> Fields<'a> {
    /// None: not an object.
    pub(crate) fn read(json: &'a str) -> Option<Self> {
        // The error of another value would contain it.
        let object = json.starts_with('{').then_some(json)?;
        Json::from_str(object).deserialize_map(FieldsVisitor).ok()
    }

    /// A member that is present and not null.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let place = NAMES.iter().position(|known| *known == name)?;
        self.known[place].filter(|json| *json != "null")
    }

    /// The external id as an answer may repeat it, even where its length or its characters are the fault; and its hash.
    pub(crate) fn external_id(&self) -> Option<(String, [u8; 32])> {
        let id = self.get("external_id")?;
        read_text(id, |id| present(id).map(|id| (printable(id, MAX_ID_LENGTH), Sha256::digest(id.as_bytes()).into())))?
    }
}

/// What `read` makes of a JSON string, or of a number as it is written; none for another value. A string is read where
/// it stands: of a long one no copy is made.
pub(super) fn read_text<T>(json: &str, read: impl FnOnce(&str) -> T) -> Option<T> {
    if json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Some(read(json));
    }
    read_string(json, read)
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        let place = |name: &str| NAMES.iter().position(|known| *known == name).ok_or_else(|| printable_name(name));
        while let Some(place) = map.next_key_seed(Reading(place))? {
            let json = map.next_value::<&RawValue>()?.get();
            match place {
                Ok(place) => fields.known[place] = Some(json),
                Err(name) => fields.add_unknown(name),
            }
        }
        Ok(fields)
    }
}

impl Fields<'_> {
    fn add_unknown(&mut self, name: String) {
        self.unknown.insert(name);
        if self.unknown.len() > MAX_UNKNOWN {
            self.unknown.pop_last();
        }
    }
}
