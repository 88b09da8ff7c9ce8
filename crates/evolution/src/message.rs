//! How Evolution writes a message: its id and its text.

use serde_json::Value;

/// Longer than any id of WhatsApp or of Evolution.
pub(crate) const LONGEST_ID: usize = 200;

pub(crate) fn is_message_id(id: &str) -> bool {
    !id.is_empty() && is_storable(id)
}

/// Whether a value from the gateway may be stored and logged.
pub(crate) fn is_storable(text: &str) -> bool {
    text.chars().count() <= LONGEST_ID && !text.chars().any(char::is_control)
}

/// Baileys writes a text that holds a link as an `extendedTextMessage`.
pub(crate) fn text_of(message: &Value) -> Option<&str> {
    message["conversation"].as_str().or_else(|| message["extendedTextMessage"]["text"].as_str())
}

/// Whether two texts differ at most in white space, which the gateway may change.
pub fn is_same_text(left: &str, right: &str) -> bool {
    let solid = |text: &'_ str| text.chars().filter(|character| !character.is_whitespace()).collect::<String>();
    solid(left) == solid(right)
}
