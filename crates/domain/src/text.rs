//! Characters that templates, variables and names may not contain.

use std::fmt;

/// The first refused character and its byte position; `allowed` are control characters that this text may contain, such
/// as line feeds in a message.
///
/// Refused are control characters, characters that change the direction of text (a link or an amount would read
/// differently), and invisible characters (texts that look equal would differ, and a search would miss words). Emoji
/// and scripts of Asia need joiners: a joiner is refused only beside ASCII, white space or the text's end, so that
/// links and amounts contain none.
pub fn refused_character(text: &str, allowed: &[char]) -> Option<(usize, char)> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    let mut before = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let after = characters.peek().map(|(_, after)| *after);
        let is_refused = match character {
            _ if character.is_control() => !allowed.contains(&character),
            '\u{200C}' | '\u{200D}' => !(may_be_joined(before) && may_be_joined(after)),
            _ => turns_direction(character) || is_invisible(character),
        };
        if is_refused {
            return Some((at, character));
        }
        before = Some(character);
    }
    None
}

/// A character that is not visible, shown as `U+200B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePoint(pub char);

impl fmt::Display for CodePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "U+{:04X}", u32::from(self.0))
    }
}

/// The beginning of a text without refused characters, as an answer may repeat it.
pub fn printable(text: &str, most_characters: usize) -> String {
    let is_shown = |character: &char| refused_character(character.encode_utf8(&mut [0; 4]), &[]).is_none();
    text.chars().filter(is_shown).take(most_characters).collect()
}

fn may_be_joined(neighbour: Option<char>) -> bool {
    neighbour
        .is_some_and(|other| !other.is_ascii() && !other.is_whitespace() && !matches!(other, '\u{200C}' | '\u{200D}'))
}

pub(crate) fn turns_direction(character: char) -> bool {
    matches!(character, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Soft hyphens, spaces without width, fillers, line separators, annotations, tags, and the variation selectors except
/// the two of emoji.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{AD}' | '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{200B}'
        | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0D}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Trims a text, and replaces each run of white space by one space.
pub(crate) fn fold_whitespace(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    folded
}

/// Whether a name is `[a-z_][a-z0-9_]*`.
pub(crate) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|other| other.is_ascii_lowercase() || other.is_ascii_digit() || other == '_')
}

const TEMPLATE_WORDS: [&str; 11] =
    ["if", "unless", "each", "with", "lookup", "log", "this", "as", "true", "false", "null"];

/// Whether a name is reserved. Handlebars reads `{{elsewhere}}` as `{{else where}}`, so no name may begin with `else`.
pub(crate) fn is_template_word(name: &str) -> bool {
    TEMPLATE_WORDS.contains(&name) || name.starts_with("else")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_character_is_refused_with_its_position() {
        for (text, found) in [
            ("Cobrança de novembro", None),
            ("a\nb\tc", Some((3, '\t'))),
            ("a\0", Some((1, '\0'))),
            ("a\u{85}", Some((1, '\u{85}'))),
            ("á\u{202E}051,00", Some((2, '\u{202E}'))),
            ("\u{2066}x", Some((0, '\u{2066}'))),
            ("pa\u{200B}gar", Some((2, '\u{200B}'))),
            ("pa\u{AD}gar", Some((2, '\u{AD}'))),
            ("pa\u{FEFF}gar", Some((2, '\u{FEFF}'))),
            ("pa\u{2060}gar", Some((2, '\u{2060}'))),
            ("oi\u{E0041}", Some((2, '\u{E0041}'))),
            ("❤\u{FE0F} 1\u{FE0F}\u{20E3} 👩\u{200D}💻 🇧🇷 👍🏽", None),
            ("क्\u{200D}ष می\u{200C}خواهم", None),
            ("pa\u{200D}gar", Some((2, '\u{200D}'))),
            ("👩\u{200D}", Some(("👩".len(), '\u{200D}'))),
            ("👩\u{200D}\u{200D}💻", Some(("👩".len(), '\u{200D}'))),
        ] {
            assert_eq!(refused_character(text, &['\n']), found, "{text:?}");
        }
    }

    #[test]
    fn white_space_is_folded_and_trimmed() {
        assert_eq!(fold_whitespace("  Maria \t da\u{a0}\u{a0}Silva\n"), "Maria da Silva");
    }

    #[test]
    fn variable_names_are_lower_case_ascii() {
        for (name, good) in [("nome", true), ("_x1", true), ("", false), ("1a", false), ("Nome", false), ("á", false)]
        {
            assert_eq!(is_variable_name(name), good, "{name:?}");
        }
    }
}
