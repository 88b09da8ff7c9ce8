//! Refuses markup that could run somewhere: WhatsApp shows plain text, but the same text is stored, listed in a console
//! and handed to webhooks (seed 003: remove scripts, iframes and event handlers). Refused and not removed, because a text
//! that silently changes is not the one its author approved.

use super::TemplateProblem;
use super::tags::{Piece, PieceKind, Tag, Wrong};

/// Refused wherever they stand, written without white space and in lower case.
const FORBIDDEN: [&str; 9] =
    ["<script", "</script", "<iframe", "<object", "<embed", "<svg", "javascript:", "vbscript:", "data:text/html"];
/// Beginnings of the event handlers' names; `online =` in a sentence is none of them.
const EVENTS: [&str; 27] = [
    "abort",
    "after",
    "animation",
    "before",
    "blur",
    "change",
    "click",
    "contextmenu",
    "copy",
    "cut",
    "dblclick",
    "drag",
    "drop",
    "error",
    "focus",
    "hashchange",
    "input",
    "key",
    "load",
    "message",
    "mouse",
    "paste",
    "pointer",
    "resize",
    "submit",
    "toggle",
    "touch",
];

/// One character as a browser would read it, and the byte where it was written.
#[derive(Clone, Copy)]
struct Glyph {
    character: char,
    at: usize,
}

pub(super) fn check(pieces: &[Piece<'_>]) -> Result<(), Wrong> {
    let glyphs = glyphs(pieces);
    let solid: Vec<Glyph> = glyphs.iter().copied().filter(|glyph| !is_invisible(glyph.character)).collect();
    let found = FORBIDDEN
        .iter()
        .filter_map(|needle| Some((position(&solid, needle)?, *needle)))
        .chain(event_handler(&glyphs).map(|at| (at, "on…=")))
        .min_by_key(|(at, _)| *at);
    match found {
        Some((at, found)) => Err((at, TemplateProblem::ForbiddenMarkup { found: found.to_owned() })),
        None => Ok(()),
    }
}

/// Comments and block tags leave no trace in a message, so what stands around them is read as one.
fn glyphs(pieces: &[Piece<'_>]) -> Vec<Glyph> {
    let mut glyphs = Vec::new();
    for piece in pieces {
        match &piece.kind {
            PieceKind::Text(text) => decode(text, piece.at, &mut glyphs),
            PieceKind::Tag(Tag::Variable(_)) => glyphs.push(Glyph { character: '\u{fffc}', at: piece.at }),
            PieceKind::Tag(_) | PieceKind::Comment => {}
        }
    }
    glyphs
}

fn decode(text: &str, at: usize, glyphs: &mut Vec<Glyph>) {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let place = at + text.len() - rest.len();
        let (character, length) = entity(rest).unwrap_or((first, first.len_utf8()));
        glyphs.push(Glyph { character: character.to_ascii_lowercase(), at: place });
        rest = &rest[length..];
    }
}

/// A character reference at the beginning: `&#106;`, `&#x6a`, and the few named ones that hide a script.
fn entity(text: &str) -> Option<(char, usize)> {
    let body = text.strip_prefix('&')?;
    for (name, character) in [("lt;", '<'), ("colon;", ':'), ("tab;", '\t'), ("newline;", '\n'), ("equals;", '=')] {
        if body.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)) {
            return Some((character, 1 + name.len()));
        }
    }
    let number = body.strip_prefix('#')?;
    let (radix, digits) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (16, digits),
        None => (10, number),
    };
    let length = digits.find(|other: char| !other.is_digit(radix)).unwrap_or(digits.len());
    let character = char::from_u32(u32::from_str_radix(digits.get(..length)?, radix).ok()?)?;
    let semicolon = usize::from(digits[length..].starts_with(';'));
    Some((character, text.len() - digits.len() + length + semicolon))
}

fn is_invisible(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

fn position(glyphs: &[Glyph], needle: &str) -> Option<usize> {
    let matches = |window: &[Glyph]| window.iter().map(|glyph| glyph.character).eq(needle.chars());
    glyphs.windows(needle.len()).find(|window| matches(window)).map(|window| window[0].at)
}

/// `onclick = …` after a boundary. Inside an open `<…` any `on…=` is one.
fn event_handler(glyphs: &[Glyph]) -> Option<usize> {
    let mut in_element = false;
    for (index, glyph) in glyphs.iter().enumerate() {
        match glyph.character {
            '<' => in_element = true,
            '>' => in_element = false,
            _ => {}
        }
        let is_boundary = index == 0 || is_attribute_boundary(glyphs[index - 1].character);
        if is_boundary && is_handler(&glyphs[index..], in_element) {
            return Some(glyph.at);
        }
    }
    None
}

fn is_attribute_boundary(before: char) -> bool {
    before.is_whitespace() || matches!(before, '"' | '\'' | '`' | '/' | '<' | '\u{fffc}')
}

fn is_handler(glyphs: &[Glyph], in_element: bool) -> bool {
    let shown =
        glyphs.iter().map(|glyph| glyph.character).filter(|other| other.is_whitespace() || !is_invisible(*other));
    let mut rest = shown.peekable();
    if rest.next() != Some('o') || rest.next() != Some('n') {
        return false;
    }
    let name: String = std::iter::from_fn(|| rest.next_if(char::is_ascii_lowercase)).collect();
    rest.find(|other| !other.is_whitespace()) == Some('=')
        && name.len() >= 3
        && (in_element || EVENTS.iter().any(|event| name.starts_with(event)))
}
