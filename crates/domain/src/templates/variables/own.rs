//! A contact's own variables, which the ERP sends: scalars with simple names.

use std::fmt;

use serde_json::{Map, Value};

use super::VARIABLE_NAMES;
use crate::templates::active_text::{active, active_text};
use crate::text::{CodePoint, is_template_word, is_variable_name, printable, refused_character};

/// Most own variables of a contact.
pub const MAX_VARIABLES: usize = 50;
const MAX_CHARACTERS: usize = 1000;
const SHOWN_CHARACTERS: usize = 40;

/// At most 50 strings, numbers and booleans. Debug shows the names only.
#[derive(Clone, Default, PartialEq)]
pub struct OwnVariables(Map<String, Value>);

impl OwnVariables {
    /// Checks the posted variables. `null` counts as absent. Strings are trimmed (ERPs pad columns), and CR LF becomes
    /// LF. The error names the first invalid variable.
    pub fn parse(sent: &Map<String, Value>) -> Result<Self, VariablesError> {
        if sent.len() > MAX_VARIABLES {
            return Err(VariablesError::TooMany { count: sent.len() });
        }
        let mut own = Map::new();
        for (name, value) in sent {
            check_name(name)?;
            if let Some(value) = scalar(name, value)? {
                own.insert(name.clone(), value);
            }
        }
        Ok(Self(own))
    }

    /// The values by name: the stored form, which a template's schema checks.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl fmt::Debug for OwnVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn check_name(name: &str) -> Result<(), VariablesError> {
    if VARIABLE_NAMES.contains(&name) || is_template_word(name) {
        return Err(VariablesError::Reserved { name: printable(name, SHOWN_CHARACTERS) });
    }
    if is_variable_name(name) && name.len() <= SHOWN_CHARACTERS {
        return Ok(());
    }
    Err(VariablesError::InvalidName { name: printable(name, SHOWN_CHARACTERS) })
}

fn scalar(name: &str, value: &Value) -> Result<Option<Value>, VariablesError> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(_) | Value::Number(_) => Ok(Some(value.clone())),
        Value::Array(_) | Value::Object(_) => Err(VariablesError::NotScalar { name: name.to_owned() }),
        Value::String(text) => {
            let text = text.replace("\r\n", "\n").trim().to_owned();
            if text.chars().count() > MAX_CHARACTERS {
                return Err(VariablesError::TooLong { name: name.to_owned() });
            }
            if let Some((_, character)) = refused_character(&text, &['\n']) {
                return Err(VariablesError::InvalidCharacters {
                    name: name.to_owned(),
                    character: CodePoint(character),
                });
            }
            if let Some((_, found)) = active(&text) {
                return Err(VariablesError::ForbiddenMarkup { name: name.to_owned(), found });
            }
            Ok(Some(Value::String(text)))
        }
    }
}

input_error! {
    /// Why own variables are refused.
    pub enum VariablesError {
        TooMany { count: usize } = "too_many_variables", "{count} variables; at most 50 are allowed",
            with most = MAX_VARIABLES;
        Reserved { name: String } = "reserved_variable", "the variable name {name:?} is reserved";
        InvalidName { name: String } = "variable_invalid_name",
            "{name:?} is no variable name: use lower-case letters, digits and _, at most 40",
            with most = SHOWN_CHARACTERS;
        NotScalar { name: String } = "variable_not_scalar",
            "the variable {name:?} is neither a string, a number nor a boolean";
        TooLong { name: String } = "variable_too_long", "the variable {name:?} has more than 1000 characters",
            with most = MAX_CHARACTERS;
        InvalidCharacters { name: String, character: CodePoint } = "variable_invalid_characters",
            "the variable {name:?} holds the character {character}";
        ForbiddenMarkup { name: String, found: String } = "variable_forbidden_markup",
            "the variable {name:?} holds {found}",
            with_text problem = active_text(found);
    }
}

impl VariablesError {
    /// The invalid variable; none for [`VariablesError::TooMany`].
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::TooMany { .. } => None,
            Self::Reserved { name }
            | Self::InvalidName { name }
            | Self::NotScalar { name }
            | Self::TooLong { name }
            | Self::InvalidCharacters { name, .. }
            | Self::ForbiddenMarkup { name, .. } => Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(sent: &Value) -> Result<OwnVariables, VariablesError> {
        OwnVariables::parse(sent.as_object().unwrap())
    }

    #[test]
    fn scalars_are_accepted_and_null_is_absent() {
        let own = parse(&json!({"a": " x\r\ny ", "b": 1, "c": 1.5, "d": true, "e": null})).unwrap();
        assert_eq!(own.as_map(), json!({"a": "x\ny", "b": 1, "c": 1.5, "d": true}).as_object().unwrap());
    }

    #[test]
    fn other_values_are_refused_by_name() {
        for (sent, code, name) in [
            (json!({"nome": "x"}), "reserved_variable", Some("nome")),
            (json!({"referencia": null}), "reserved_variable", Some("referencia")),
            (json!({"if": "x"}), "reserved_variable", Some("if")),
            (json!({"elsewhere": "x"}), "reserved_variable", Some("elsewhere")),
            (json!({"else\u{e}": "x"}), "reserved_variable", Some("else")),
            (json!({"Link": "x"}), "variable_invalid_name", Some("Link")),
            (json!({"a b": "x"}), "variable_invalid_name", Some("a b")),
            (json!({"": "x"}), "variable_invalid_name", Some("")),
            (json!({"a": []}), "variable_not_scalar", Some("a")),
            (json!({"a": {}}), "variable_not_scalar", Some("a")),
            (json!({"a": "x".repeat(1001)}), "variable_too_long", Some("a")),
            (json!({"a": "x\u{7}y"}), "variable_invalid_characters", Some("a")),
            (json!({"a": "x\u{202e}y"}), "variable_invalid_characters", Some("a")),
            (json!({"a": "x\u{200b}y"}), "variable_invalid_characters", Some("a")),
            (json!({"a": "x\ty"}), "variable_invalid_characters", Some("a")),
            (json!({"link": "javascript:alert(1)"}), "variable_forbidden_markup", Some("link")),
            (json!({"link": "ftp://arquivos.example"}), "variable_forbidden_markup", Some("link")),
            (json!({"link": "<script>"}), "variable_forbidden_markup", Some("link")),
        ] {
            let error = parse(&sent).unwrap_err();
            assert_eq!((error.code(), error.name()), (code, name));
        }
    }

    #[test]
    fn more_than_fifty_variables_are_refused() {
        let many = |count: usize| Value::Object((0..count).map(|index| (format!("v{index}"), json!(1))).collect());
        assert!(parse(&many(50)).is_ok());
        assert_eq!(parse(&many(51)).unwrap_err().code(), "too_many_variables");
    }
}
