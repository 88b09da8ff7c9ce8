//! Finds and removes identifiers of one debtor in free text and JSON: a campaign's metadata, rejections and warnings.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::contact_name::ContactName;
use crate::PhoneNumber;

/// Shorter names are parts of too many other words.
const SHORTEST_NAME: usize = 4;

/// Identifiers of one debtor. Debug shows none of them.
#[derive(Clone, Default)]
pub struct Traces {
    /// In lower case.
    names: BTreeSet<String>,
    /// With and without the country code.
    digits: BTreeSet<String>,
    external_ids: BTreeSet<String>,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").finish_non_exhaustive()
    }
}

impl Traces {
    /// Adds a name, and its form in messages, which warnings show.
    pub fn add_name(&mut self, name: &str) {
        let shown = ContactName::parse(name).ok();
        for form in [Some(name), shown.as_ref().map(ContactName::display)].into_iter().flatten() {
            let form = form.trim().to_lowercase();
            if form.chars().count() >= SHORTEST_NAME {
                self.names.insert(form);
            }
        }
    }

    /// Adds all forms of a phone number.
    pub fn add_phone(&mut self, phone: &PhoneNumber) {
        for form in phone.same_line() {
            let digits = form.digits();
            self.digits.extend(digits.strip_prefix("55").map(str::to_owned));
            self.digits.insert(digits.to_owned());
        }
    }

    /// Adds an external id.
    pub fn add_external_id(&mut self, id: &str) {
        self.external_ids.insert(id.to_owned());
    }

    /// The external ids.
    pub fn external_ids(&self) -> Vec<String> {
        self.external_ids.iter().cloned().collect()
    }

    /// Whether a text is an external id of the debtor, or contains a number or a name.
    pub fn occur_in(&self, text: &str) -> bool {
        if self.external_ids.contains(text.trim()) {
            return true;
        }
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let text = text.to_lowercase();
        self.digits.iter().any(|own| digits.contains(own)) || self.names.iter().any(|name| text.contains(name))
    }

    /// Replaces texts and numbers with traces by null, and removes members whose names have traces. True when there
    /// were any.
    pub fn remove_from(&self, value: &mut Value) -> bool {
        let is_trace = match value {
            Value::String(text) => self.occur_in(text),
            Value::Number(number) => self.occur_in(&number.to_string()),
            Value::Array(items) => return self.remove_from_each(items.iter_mut()),
            Value::Object(members) => {
                let before = members.len();
                members.retain(|name, _| !self.occur_in(name));
                let found = members.len() < before;
                return self.remove_from_each(members.values_mut()) || found;
            }
            Value::Null | Value::Bool(_) => false,
        };
        if is_trace {
            *value = Value::Null;
        }
        is_trace
    }

    fn remove_from_each<'a>(&self, values: impl Iterator<Item = &'a mut Value>) -> bool {
        let mut found = false;
        for value in values {
            found |= self.remove_from(value);
        }
        found
    }

    /// Clears `external_id` and `message` of rejections and warnings about the debtor. True when there were any.
    pub fn remove_from_remarks(&self, remarks: &mut Value) -> bool {
        let mut found = false;
        for remark in remarks.as_array_mut().into_iter().flatten() {
            let is_trace = |name: &str| remark[name].as_str().is_some_and(|text| self.occur_in(text));
            if is_trace("external_id") || is_trace("message") || is_trace("field") {
                found = true;
                remark["external_id"] = Value::Null;
                remark["message"] = Value::String(String::new());
            }
            if occur_in_json(self, &remark["field"]) {
                remark["field"] = Value::String("contact".to_owned());
            }
        }
        found
    }
}

fn occur_in_json(traces: &Traces, value: &Value) -> bool {
    value.as_str().is_some_and(|text| traces.occur_in(text))
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
    fn debtor_is_recognised_by_id_number_and_name() {
        for text in ["47", " 47 ", "(11) 98888-7777", "tel +55 11 8888 7777.", "Sra. MARIA DA SILVA"] {
            assert!(maria().occur_in(text), "{text}");
        }
        for text in ["147", "cliente 47", "Maria", "Mariana", "11 98888-7776", ""] {
            assert!(!maria().occur_in(text), "{text}");
        }
    }

    #[test]
    fn traces_are_removed_and_other_values_stay() {
        let mut value = json!({
            "cliente": 47, "outro": 48, "contato": {"tel": "11988887777", "nota": ["Maria da Silva ligou", "ok"]},
            "5511988887777": true,
        });
        assert!(maria().remove_from(&mut value));
        assert_eq!(value, json!({"cliente": null, "outro": 48, "contato": {"tel": null, "nota": [null, "ok"]}}));
        assert!(!maria().remove_from(&mut value));
    }

    #[test]
    fn remarks_keep_their_code_and_lose_the_debtor() {
        let mut remarks = json!([
            {"index": 0, "external_id": "47", "field": "phone", "code": "too_short", "message": "x"},
            {"index": 1, "external_id": "48", "field": "phone", "code": "too_short", "message": "y"},
        ]);
        assert!(maria().remove_from_remarks(&mut remarks));
        assert_eq!(
            remarks[0],
            json!({"index": 0, "external_id": null, "field": "phone", "code": "too_short", "message": ""})
        );
        assert_eq!((&remarks[1]["external_id"], &remarks[1]["message"]), (&json!("48"), &json!("y")));
        assert!(!maria().remove_from_remarks(&mut remarks));
    }

    #[test]
    fn name_is_found_without_its_codes() {
        let mut traces = Traces::default();
        traces.add_name("MARIA DE SOUZA 12345678909");
        assert!(traces.occur_in("Lido como Maria de Souza."));
        assert!(!traces.occur_in("Lido como Maria."));
    }
}
