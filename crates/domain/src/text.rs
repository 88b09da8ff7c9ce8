//! Which characters no text of ours may hold, whoever wrote it: asked by templates, variables and names.

/// A control character other than those that a message may hold (line feed and tab).
pub(crate) fn is_forbidden_control(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\t')
}

/// A character that changes the direction of the text around it and so can make a link or an amount read as another.
pub(crate) fn is_bidi_control(character: char) -> bool {
    matches!(character, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Trims, and makes one space of every run of white space.
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

/// Lower-case ASCII letters, digits and `_`, not beginning with a digit: the name of a variable.
pub(crate) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|other| other.is_ascii_lowercase() || other.is_ascii_digit() || other == '_')
}

/// Words that mean something to the template language and can therefore name no variable.
const TEMPLATE_WORDS: [&str; 11] =
    ["if", "unless", "each", "with", "lookup", "log", "this", "as", "true", "false", "null"];

/// Whether the template language would take the name for one of its own words. Handlebars reads `{{elsewhere}}` as
/// `{{else where}}`, so nothing may begin with `else`.
pub(crate) fn is_template_word(name: &str) -> bool {
    TEMPLATE_WORDS.contains(&name) || name.starts_with("else")
}

#[cfg(test)]
mod tests {
    use super::*;

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
