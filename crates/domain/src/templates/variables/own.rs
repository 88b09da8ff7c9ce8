//! A contact's own variables, which the ERP sends: scalars with simple names.

use std::fmt;

use serde_json::{Map, Number, Value};

use super::VARIABLE_NAMES;
use crate::templates::active_text::{active, active_text};
use crate::text::{CodePoint, is_template_word, is_variable_name, printable, refused_character};
use crate::{Reading, Text, is_damaged_number, mend_charset, present, trim_blanks};

/// Most own variables of a contact.
pub const MAX_VARIABLES: usize = 50;
const MAX_CHARACTERS: usize = 1000;
const SHOWN_CHARACTERS: usize = 40;

/// At most 50 strings, numbers and booleans. Debug shows the names only.
#[derive(Clone, Default, PartialEq)]
pub struct OwnVariables(Map<String, Value>);

impl OwnVariables {
    /// Checks the posted variables; numbers are those of [`exact_number`]. `null` counts as absent, and so does a text
    /// that says so (`NULL`). Strings are trimmed (ERPs pad columns), CR LF becomes LF, and text that was decoded twice
    /// is mended with a warning. The error names the first invalid variable.
    pub fn read(sent: &Map<String, Value>) -> Result<Reading<Self>, VariablesError> {
        if sent.len() > MAX_VARIABLES {
            return Err(VariablesError::TooMany { count: sent.len() });
        }
        let (mut own, mut warnings) = (Map::new(), Vec::new());
        for (name, value) in sent {
            check_name(name)?;
            if let Some(Reading { value, warnings: found }) = scalar(name, value)? {
                own.insert(name.clone(), value);
                warnings.extend(found);
            }
        }
        Ok(Reading { value: Self(own), warnings })
    }

    /// [`read`](Self::read) without the warnings.
    pub fn parse(sent: &Map<String, Value>) -> Result<Self, VariablesError> {
        Self::read(sent).map(|reading| reading.value)
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

type Scalar = Result<Option<Reading<Value>>, VariablesError>;

fn scalar(name: &str, value: &Value) -> Scalar {
    match value {
        Value::Null => Ok(None),
        Value::Bool(_) => Ok(Some(Reading::certain(value.clone()))),
        Value::Number(number) => match number.to_string() {
            text if text.contains('e') => Err(damaged_number(name, &text)),
            _ => Ok(Some(Reading::certain(value.clone()))),
        },
        Value::Array(_) | Value::Object(_) => Err(VariablesError::NotScalar { name: name.to_owned() }),
        Value::String(text) => string(name, text),
    }
}

fn string(name: &str, posted: &str) -> Scalar {
    let named = || name.to_owned();
    let mended = mend_charset(posted);
    let text = mended.as_deref().unwrap_or(posted).replace("\r\n", "\n");
    let text = trim_blanks(&text);
    if !text.is_empty() && present(text).is_none() {
        return Ok(None);
    }
    if text.chars().count() > MAX_CHARACTERS {
        return Err(VariablesError::TooLong { name: named() });
    }
    if let Some((_, character)) = refused_character(text, &['\n']) {
        return Err(VariablesError::InvalidCharacters { name: named(), character: CodePoint(character) });
    }
    if text.contains('\u{FFFD}') {
        return Err(VariablesError::Damaged { name: named() });
    }
    if is_damaged_number(text) {
        return Err(damaged_number(name, text));
    }
    if let Some((_, found)) = active(text) {
        return Err(VariablesError::ForbiddenMarkup { name: named(), found });
    }
    let reading = Reading::certain(Value::String(text.to_owned()));
    Ok(Some(if mended.is_some() {
        let warning = Text::of("variable-mended").with("name", name).with("text", printable(text, SHOWN_CHARACTERS));
        reading.warn("variable_mended", warning)
    } else {
        reading
    }))
}

fn damaged_number(name: &str, text: &str) -> VariablesError {
    VariablesError::DamagedNumber { name: name.to_owned(), text: printable(text, SHOWN_CHARACTERS) }
}

/// The number of a JSON text, with all its digits: a text where a JSON number would lose or change some, such as the 47
/// digits of a boleto.
pub fn exact_number(json: &str) -> Value {
    match serde_json::from_str::<Number>(json) {
        Ok(number) if number.to_string() == json || json.contains(['e', 'E']) => Value::Number(number),
        // No JSON number is so large.
        Err(_) => Value::String(json.replacen(['e', 'E'], "E+", 1).replacen("E++", "E+", 1)),
        Ok(_) => Value::String(json.to_owned()),
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
        Damaged { name: String } = "variable_damaged", "letters of the variable {name:?} are lost";
        DamagedNumber { name: String, text: String } = "variable_damaged_number",
            "digits of the variable {name:?} are lost";
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
            | Self::ForbiddenMarkup { name, .. }
            | Self::Damaged { name }
            | Self::DamagedNumber { name, .. } => Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
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
    fn number_has_all_its_digits() {
        for json in ["34191790010104351004791020150008597730026000", "1.50", "0.30", "12345678901234567890123", "-0"] {
            assert_eq!(exact_number(json), json!(json), "{json}");
        }
        for (json, number) in [("7", json!(7)), ("1.5", json!(1.5)), ("12.0", json!(12.0)), ("1e2", json!(100.0))] {
            assert_eq!(exact_number(json), number);
        }
    }

    #[test]
    fn text_of_an_erp_is_read_as_it_is_meant() {
        let posted =
            json!({"a": "NULL", "b": "None", "c": "", "d": " OlÃ¡ ", "e": "Olá\u{200b}", "f": "#N/D", "g": "0"});
        let own = parse(&posted).unwrap();
        assert_eq!(own.as_map(), json!({"c": "", "d": "Olá", "e": "Olá", "g": "0"}).as_object().unwrap());
        let warnings = OwnVariables::read(posted.as_object().unwrap()).unwrap().warnings;
        let text = Text::of("variable-mended").with("name", "d").with("text", "Olá");
        assert_eq!(warnings, [crate::Warning { code: "variable_mended", text }]);
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
            (json!({"linha": "2,37934E+46"}), "variable_damaged_number", Some("linha")),
            (json!({"linha": exact_number("3.4191790010104353e+43")}), "variable_damaged_number", Some("linha")),
            (json!({"linha": exact_number("1e43")}), "variable_damaged_number", Some("linha")),
            (json!({"linha": exact_number("1e400")}), "variable_damaged_number", Some("linha")),
            (json!({"a": "Ol\u{FFFD}"}), "variable_damaged", Some("a")),
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

    proptest! {
        #[test]
        fn variables_are_read_to_themselves(any in any::<String>(), usual in "[0-9eE.,+ã£Ã\u{a0}\u{200b}\r\nNUL-]{0,12}") {
            for text in [any, usual] {
                let number = exact_number(&text);
                for sent in [json!({"a": text}), json!({"a": number})] {
                    let Ok(own) = parse(&sent) else { continue };
                    prop_assert!(OwnVariables::parse(own.as_map()).as_ref() == Ok(&own));
                }
            }
        }

        #[test]
        fn digits_of_a_number_stay(json in "-?(0|[1-9][0-9]{0,60})(\\.[0-9]{1,30})?") {
            let own = parse(&json!({"a": exact_number(&json)})).unwrap();
            let text = match own.as_map().get("a").unwrap() {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            prop_assert_eq!(text, json);
        }
    }
}
