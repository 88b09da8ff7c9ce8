//! The faults of texts and of free-form objects.

use regua_domain::{Language, refused_character};
use serde_json::Value;

/// Levels of a free-form object.
const MAX_DEPTH: usize = 16;

/// The fault of a text, as a code and a message; none: the text is accepted.
pub(crate) fn text_fault(text: &str, most: usize, language: Language) -> Option<(&'static str, String)> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        let message = language.pick("O campo está vazio.", "The field is empty.");
        return Some(("empty", message.to_owned()));
    }
    if length > most {
        let message = language.pick(
            format!("O campo tem {length} caracteres; o máximo é {most}."),
            format!("The field has {length} characters; at most {most} are accepted."),
        );
        return Some(("too_long", message));
    }
    let (_, character) = refused_character(text, &[])?;
    let code = format!("U+{:04X}", u32::from(character));
    let message = language.pick(
        format!("O campo contém o caractere invisível {code}, que não é aceito. Apague-o e digite o trecho de novo."),
        format!(
            "The field has the invisible character {code}, which is not accepted. Delete it and type the passage again."
        ),
    );
    Some(("invalid_characters", message))
}

/// The fault of a free-form object, which is stored and answered unchanged. Its texts may have line ends. Invisible
/// characters are refused, because consoles show the object and exports contain it.
pub(crate) fn object_fault(
    object: &Value,
    bytes: usize,
    most: usize,
    language: Language,
) -> Option<(&'static str, String)> {
    if bytes > most {
        let message = language.pick(
            format!("O objeto tem {bytes} bytes de JSON; o máximo é {most}."),
            format!("The object has {bytes} bytes of JSON; at most {most} are accepted."),
        );
        return Some(("too_large", message));
    }
    if depth(object) > MAX_DEPTH {
        let message = language.pick(
            format!("O objeto tem mais de {MAX_DEPTH} níveis. Envie um mais simples."),
            format!("The object is nested more than {MAX_DEPTH} levels deep. Send a simpler one."),
        );
        return Some(("too_deep", message));
    }
    let code = format!("U+{:04X}", u32::from(refused_in(object)?));
    let message = language.pick(
        format!("O objeto contém o caractere invisível {code}, que não é aceito. Remova-o."),
        format!("The object has the invisible character {code}, which is not accepted. Remove it."),
    );
    Some(("invalid_characters", message))
}

/// Levels of a value. The JSON parser limits the recursion.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn refused_in(value: &Value) -> Option<char> {
    let refused = |text: &str| refused_character(text, &['\n', '\r', '\t']).map(|(_, character)| character);
    match value {
        Value::String(text) => refused(text),
        Value::Array(items) => items.iter().find_map(refused_in),
        Value::Object(members) => members.iter().find_map(|(name, value)| refused(name).or_else(|| refused_in(value))),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}
