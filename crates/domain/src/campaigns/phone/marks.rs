//! One form of characters that look alike, without the marks of programs: what is left is lower case and mostly ASCII.

use crate::reading::is_blank;

/// Drops invisible characters, turns every blank and hyphen into the ASCII one and full-width forms into theirs, and
/// removes blanks and a spreadsheet's quotes (`'…`, `="…"`) at the ends.
pub(super) fn without_marks(text: &str) -> String {
    let visible = text.chars().filter(|character| character.is_whitespace() || !is_blank(*character));
    let plain: String = visible.map(plain_form).collect();
    plain.trim_matches([' ', '=', '\'', '"', '\u{2019}']).to_owned()
}

fn plain_form(character: char) -> char {
    let ascii = match character {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(character) - 0xFEE0).unwrap_or(character),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE63}' => '-',
        _ if character.is_whitespace() => ' ',
        _ => character,
    };
    ascii.to_ascii_lowercase()
}
