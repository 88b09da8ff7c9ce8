//! What a reader makes of a text that people or ERPs wrote: the value, and what a person should check.

use std::fmt;

use crate::Text;
use crate::text::{is_invisible, turns_direction};

/// What ERPs, spreadsheets and programs write for "no value", in lower case.
const ABSENT: [&str; 7] = ["null", "nan", "none", "undefined", "#n/d", "#n/a", "-"];

/// A value that was read, with warnings about what the reader assumed or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<T> {
    /// The value.
    pub value: T,
    /// In the order in which the reader met them.
    pub warnings: Vec<Warning>,
}

/// Something about an accepted value that a person should check. Debug hides the text, which shows the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Warning {
    /// Stable name in answers.
    pub code: &'static str,
    /// The explanation for people, with the value as it was read.
    pub text: Text,
}

impl<T> Reading<T> {
    /// A value that can be read in one way only.
    pub const fn certain(value: T) -> Self {
        Self { value, warnings: Vec::new() }
    }

    /// Adds a warning.
    #[must_use]
    pub fn warn(mut self, code: &'static str, text: Text) -> Self {
        self.warnings.push(Warning { code, text });
        self
    }

    /// Applies a function to the value.
    pub fn map<U>(self, function: impl FnOnce(T) -> U) -> Reading<U> {
        Reading { value: function(self.value), warnings: self.warnings }
    }
}

impl fmt::Debug for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warning").field("code", &self.code).finish_non_exhaustive()
    }
}

/// The text without the blanks at its ends; none where it is empty or says that there is no value (`NULL`, `#N/D`).
/// White space and invisible characters of every script are blanks.
pub fn present(text: &str) -> Option<&str> {
    let text = trim_blanks(text);
    let is_absent = text.is_empty() || ABSENT.iter().any(|word| word.eq_ignore_ascii_case(text));
    (!is_absent).then_some(text)
}

/// The text without the blanks at its ends.
pub fn trim_blanks(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// White space, and characters that are not seen.
pub(crate) fn is_blank(character: char) -> bool {
    let is_joiner = matches!(character, '\u{200C}' | '\u{200D}');
    character.is_whitespace() || is_joiner || is_invisible(character) || turns_direction(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_at_the_ends_do_not_count() {
        for (text, expected) in [
            ("LOTE-7   ", Some("LOTE-7")),
            ("\u{feff}\u{a0}NF 1\t\r\n", Some("NF 1")),
            ("\u{202a}x\u{202c}", Some("x")),
            ("\u{200b}a\u{200b}b\u{200b}", Some("a\u{200b}b")),
            (" \u{a0}\t", None),
            ("", None),
        ] {
            assert_eq!(present(text), expected, "{text:?}");
        }
    }

    #[test]
    fn words_for_no_value_are_absent() {
        for text in ["NULL", "null", " Null ", "nan", "NaN", "None", "undefined", "#N/D", "#n/a", "-", " - "] {
            assert_eq!(present(text), None, "{text:?}");
        }
        for text in ["Nulla", "0", "nenhum", "--", "None 1", "não"] {
            assert_eq!(present(text), Some(text), "{text:?}");
        }
    }
}
