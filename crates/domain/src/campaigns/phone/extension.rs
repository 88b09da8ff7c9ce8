//! Refuses a number with an extension: a switchboard answers it, and WhatsApp has no extensions.

use super::PhoneError;
use super::written::read_one;

/// In lower case, each before the words that it ends with.
const WORDS: [&str; 8] = ["ramal", "rml", "ram", "r", "extension", "ext", "x", "#"];
const MAX_DIGITS: usize = 6;

pub(super) fn refuse(text: &str) -> Result<(), PhoneError> {
    let Some(number) = before_extension(text) else { return Ok(()) };
    let meant = read_one(number)?.value.into();
    Err(PhoneError::Extension { meant })
}

/// The text before `ramal 2`, `r. 12`, `x12` or `;ext=12`.
fn before_extension(text: &str) -> Option<&str> {
    let text = text.trim_end_matches([' ', ')']);
    let head = text.trim_end_matches(|last: char| last.is_ascii_digit());
    if !(1..=MAX_DIGITS).contains(&(text.len() - head.len())) {
        return None;
    }
    let head = head.trim_end_matches([' ', '.', ':', '=', '-']);
    let number = WORDS.iter().find_map(|word| head.strip_suffix(word))?;
    Some(number.trim_end_matches([' ', ';', ',', '-', '/', '(']))
}
