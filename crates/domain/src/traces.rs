//! What of a person may stand in free text and JSON that somebody else wrote (a batch's metadata, remarks on its contacts), and how
//! it is taken out of there.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::PhoneNumber;

/// Shorter names stand in too many other words.
const SHORTEST_NAME: usize = 4;

/// What one person is known by. Debug shows none of it.
#[derive(Clone, Default)]
pub struct Traces {
    /// In lower case.
    names: BTreeSet<String>,
    /// With and without the country.
    digits: BTreeSet<String>,
    external_ids: BTreeSet<String>,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").finish_non_exhaustive()
    }
}

impl Traces {
    /// They have this name.
    pub fn add_name(&mut self, name: &str) {
        let name = name.trim().to_lowercase();
        if name.chars().count() >= SHORTEST_NAME {
            self.names.insert(name);
        }
    }

    /// They have this number, however it is written.
    pub fn add_phone(&mut self, phone: &PhoneNumber) {
        for form in phone.same_line() {
            let digits = form.digits();
            self.digits.extend(digits.strip_prefix("55").map(str::to_owned));
            self.digits.insert(digits.to_owned());
        }
    }

    /// They are somebody's customer by this id.
    pub fn add_external_id(&mut self, id: &str) {
        self.external_ids.insert(id.to_owned());
    }

    /// The ids that they are customers by.
    pub fn external_ids(&self) -> Vec<String> {
        self.external_ids.iter().cloned().collect()
    }

    /// Whether a text tells of them: it is their id, or has their number or their name in it.
    pub fn are_in(&self, text: &str) -> bool {
        if self.external_ids.contains(text.trim()) {
            return true;
        }
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let text = text.to_lowercase();
        self.digits.iter().any(|own| digits.contains(own)) || self.names.iter().any(|name| text.contains(name))
    }

    /// Makes null of every text and number that tells of them, and leaves out members whose name does; whether there were any.
    pub fn take_out_of(&self, value: &mut Value) -> bool {
        let is_theirs = match value {
            Value::String(text) => self.are_in(text),
            Value::Number(number) => self.are_in(&number.to_string()),
            Value::Array(items) => return self.take_out_of_each(items.iter_mut()),
            Value::Object(members) => {
                let before = members.len();
                members.retain(|name, _| !self.are_in(name));
                let found = members.len() < before;
                return self.take_out_of_each(members.values_mut()) || found;
            }
            Value::Null | Value::Bool(_) => false,
        };
        if is_theirs {
            *value = Value::Null;
        }
        is_theirs
    }

    fn take_out_of_each<'a>(&self, values: impl Iterator<Item = &'a mut Value>) -> bool {
        let mut found = false;
        for value in values {
            found |= self.take_out_of(value);
        }
        found
    }

    /// Makes remarks on a batch's contacts (`external_id`, `message` and more) nobody's; whether there were any about them.
    pub fn take_out_of_remarks(&self, remarks: &mut Value) -> bool {
        let mut found = false;
        for remark in remarks.as_array_mut().into_iter().flatten() {
            let tells = |name: &str| remark[name].as_str().is_some_and(|text| self.are_in(text));
            if tells("external_id") || tells("message") || tells("field") {
                found = true;
                remark["external_id"] = Value::Null;
                remark["message"] = Value::String(String::new());
            }
            if tells_in(self, &remark["field"]) {
                remark["field"] = Value::String("contact".to_owned());
            }
        }
        found
    }
}

fn tells_in(traces: &Traces, value: &Value) -> bool {
    value.as_str().is_some_and(|text| traces.are_in(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn maria() -> Traces {
        let mut traces = Traces::default();
        traces.add_name("Maria da Silva");
        traces.add_name("Ana");
        traces.add_phone(&PhoneNumber::parse("11 98888-7777").unwrap());
        traces.add_external_id("47");
        traces
    }

    #[test]
    fn a_person_is_known_by_id_number_and_name() {
        for text in ["47", " 47 ", "(11) 98888-7777", "tel +55 11 8888 7777.", "Sra. MARIA DA SILVA"] {
            assert!(maria().are_in(text), "{text}");
        }
        for text in ["147", "cliente 47", "Maria", "Mariana", "11 98888-7776", ""] {
            assert!(!maria().are_in(text), "{text}");
        }
    }

    #[test]
    fn what_tells_of_them_is_taken_out_and_the_rest_stays() {
        let mut value = json!({
            "cliente": 47, "outro": 48, "contato": {"tel": "11988887777", "nota": ["Maria da Silva ligou", "ok"]},
            "5511988887777": true,
        });
        assert!(maria().take_out_of(&mut value));
        assert_eq!(value, json!({"cliente": null, "outro": 48, "contato": {"tel": null, "nota": [null, "ok"]}}));
        assert!(!maria().take_out_of(&mut value));
    }

    #[test]
    fn remarks_keep_what_was_wrong_and_not_with_whom() {
        let mut remarks = json!([
            {"index": 0, "external_id": "47", "field": "phone", "code": "too_short", "message": "x"},
            {"index": 1, "external_id": "48", "field": "phone", "code": "too_short", "message": "y"},
        ]);
        assert!(maria().take_out_of_remarks(&mut remarks));
        assert_eq!(
            remarks[0],
            json!({"index": 0, "external_id": null, "field": "phone", "code": "too_short", "message": ""})
        );
        assert_eq!((&remarks[1]["external_id"], &remarks[1]["message"]), (&json!("48"), &json!("y")));
        assert!(!maria().take_out_of_remarks(&mut remarks));
    }
}
