//! Finds active text: scripts, frames, event handlers, and links that are not of the web. WhatsApp shows plain text,
//! but the text is also stored, listed in a console and sent to webhooks (the product's requirements). Active text is
//! refused and not removed, because the author has not approved a changed text.
//!
//! Links of the web are `https://` and `http://`, as in WhatsApp. `mailto:` and `tel:` are allowed: they are harmless,
//! WhatsApp shows them as plain text, and `Tel: 4002-8922` is frequent.

use crate::Text;
use crate::text::is_invisible;

/// Refused anywhere in the text, which is compared without white space and in lower case.
const FORBIDDEN: [&str; 10] = [
    "<script",
    "</script",
    "<iframe",
    "<object",
    "<embed",
    "<svg",
    "javascript:",
    "vbscript:",
    "livescript:",
    "view-source:",
];
/// Refused where no letter or digit precedes; `Data: 10/11/2026` and `Perfil: x` are ordinary words.
const FORBIDDEN_WORDS: [&str; 14] = [
    "file:/",
    "intent:",
    "blob:http",
    "filesystem:",
    "data:text/",
    "data:image/",
    "data:application/",
    "data:audio/",
    "data:video/",
    "data:font/",
    "data:multipart/",
    "data:message/",
    "data:;",
    "data:,",
];
const LINKS: [&str; 2] = ["https", "http"];
/// Prefixes of the event handlers' names; `online =` in a sentence has none of them.
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

/// Replaces a variable of unknown value.
pub(crate) const ANYTHING: char = '\u{fffc}';

/// A character as a browser reads it, and its byte position.
#[derive(Clone, Copy)]
pub(crate) struct Glyph {
    pub(crate) character: char,
    pub(crate) at: usize,
}

/// An active text and its byte position.
pub(crate) type Found = (usize, String);

pub(crate) fn active(text: &str) -> Option<Found> {
    // Active text has one of these; most messages have none, or the one of their link.
    if !text.bytes().any(|byte| matches!(byte, b':' | b'<' | b'&' | b'=')) {
        return None;
    }
    let mut glyphs = Vec::with_capacity(text.len());
    decode(text, 0, &mut glyphs);
    active_in(&glyphs).or_else(|| link_as_written(text))
}

/// `&#10http://` is a link to a reader of character references, and another scheme to a plain reader.
fn link_as_written(text: &str) -> Option<Found> {
    let written = text.char_indices().map(|(at, character)| Glyph { character: character.to_ascii_lowercase(), at });
    text.contains('&').then(|| link_elsewhere(&written.collect::<Vec<_>>())).flatten()
}

pub(crate) fn active_in(glyphs: &[Glyph]) -> Option<Found> {
    let solid: Vec<Glyph> = glyphs.iter().copied().filter(|glyph| !is_blank(glyph.character)).collect();
    let fixed = (0..solid.len()).find_map(|from| forbidden(&solid, glyphs, from));
    let links = link_elsewhere(glyphs);
    let handlers = event_handler(glyphs).map(|at| (at, "on…=".to_owned()));
    [fixed, links, handlers].into_iter().flatten().min_by_key(|(at, _)| *at)
}

/// Decodes a text as a browser does, with its character references.
pub(crate) fn decode(text: &str, at: usize, glyphs: &mut Vec<Glyph>) {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let place = at + text.len() - rest.len();
        let (character, length) = entity(rest).unwrap_or((first, first.len_utf8()));
        glyphs.push(Glyph { character: character.to_ascii_lowercase(), at: place });
        rest = &rest[length..];
    }
}

/// A character reference at the beginning: `&#106;`, `&#x6a`, and the named ones that can hide a script.
fn entity(text: &str) -> Option<(char, usize)> {
    let body = text.strip_prefix('&')?;
    for (name, character) in
        [("lt;", '<'), ("colon;", ':'), ("sol;", '/'), ("tab;", '\t'), ("newline;", '\n'), ("equals;", '=')]
    {
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

/// Whether a browser may ignore the character within a scheme or a tag.
fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || is_invisible(character)
        || matches!(character, '\u{200C}' | '\u{200D}' | '\u{FE0E}' | '\u{FE0F}')
}

fn forbidden(solid: &[Glyph], glyphs: &[Glyph], from: usize) -> Option<Found> {
    let rest = &solid[from..];
    let Glyph { character: first, at } = *rest.first()?;
    // This runs for every character of every message; few of them begin a needle.
    if !matches!(first, '<' | 'b' | 'd' | 'f' | 'i' | 'j' | 'l' | 'v') {
        return None;
    }
    let word =
        || FORBIDDEN_WORDS.iter().find(|needle| begins_with(rest, needle)).filter(|_| !follows_a_word(glyphs, at));
    let found = FORBIDDEN.iter().find(|needle| begins_with(rest, needle)).or_else(word);
    found.map(|found| (at, (*found).to_owned()))
}

fn begins_with(glyphs: &[Glyph], needle: &str) -> bool {
    let written = glyphs.iter().map(|glyph| glyph.character);
    glyphs.len() >= needle.len() && written.zip(needle.chars()).all(|(written, wanted)| written == wanted)
}

fn follows_a_word(glyphs: &[Glyph], at: usize) -> bool {
    let index = glyphs.partition_point(|glyph| glyph.at < at);
    index.checked_sub(1).and_then(|before| glyphs.get(before)).is_some_and(|before| before.character.is_alphanumeric())
}

/// A scheme before `://` that is not of the web, or has a variable in it.
fn link_elsewhere(glyphs: &[Glyph]) -> Option<Found> {
    let shown: Vec<Glyph> =
        glyphs.iter().copied().filter(|glyph| glyph.character.is_whitespace() || !is_blank(glyph.character)).collect();
    let marks = shown.windows(3).enumerate();
    let marks = marks.filter(|(_, three)| three.iter().map(|glyph| glyph.character).eq("://".chars()));
    marks.map(|(index, three)| (three[0].at, scheme_before(&shown[..index]))).find_map(|(colon, (at, scheme))| {
        (!LINKS.contains(&scheme.as_str())).then(|| (at.unwrap_or(colon), format!("{scheme}://")))
    })
}

/// The letters, digits and variables that end here. A scheme with a variable is not of the web.
fn scheme_before(glyphs: &[Glyph]) -> (Option<usize>, String) {
    let is_part = |glyph: &&Glyph| glyph.character.is_ascii_alphanumeric() || glyph.character == ANYTHING;
    let length = glyphs.iter().rev().take(20).take_while(is_part).count();
    let scheme = &glyphs[glyphs.len() - length..];
    // In `{{a}}https` the end may be a scheme; the message shows the value of `a`.
    let known = scheme.iter().rev().take_while(|glyph| glyph.character != ANYTHING).count();
    let is_whole =
        known > 0 && LINKS.iter().any(|link| link.chars().eq(scheme[length - known..].iter().map(|g| g.character)));
    let scheme = if is_whole { &scheme[length - known..] } else { scheme };
    let written = scheme.iter().map(|glyph| if glyph.character == ANYTHING { '…' } else { glyph.character }).collect();
    (scheme.first().map(|glyph| glyph.at), written)
}

/// `onclick = …` after a boundary. Inside an open `<…` any `on…=` is an event handler.
fn event_handler(glyphs: &[Glyph]) -> Option<usize> {
    let mut in_element = false;
    for (index, glyph) in glyphs.iter().enumerate() {
        match glyph.character {
            '<' => in_element = true,
            '>' => in_element = false,
            _ => {}
        }
        let is_boundary = index == 0 || is_attribute_boundary(glyphs[index - 1].character);
        if glyph.character == 'o' && is_boundary && is_handler(&glyphs[index..], in_element) {
            return Some(glyph.at);
        }
    }
    None
}

fn is_attribute_boundary(before: char) -> bool {
    before.is_whitespace() || matches!(before, '"' | '\'' | '`' | '/' | '<' | ANYTHING)
}

fn is_handler(glyphs: &[Glyph], in_element: bool) -> bool {
    let shown = glyphs.iter().map(|glyph| glyph.character).filter(|other| other.is_whitespace() || !is_blank(*other));
    let mut rest = shown.peekable();
    if rest.next() != Some('o') || rest.next() != Some('n') {
        return false;
    }
    let name: String = std::iter::from_fn(|| rest.next_if(char::is_ascii_lowercase)).collect();
    rest.find(|other| !other.is_whitespace()) == Some('=')
        && name.len() >= 3
        && (in_element || EVENTS.iter().any(|event| name.starts_with(event)))
}

/// The explanation for people, as a part of another text: for a template and for a rendered message.
pub(crate) fn active_text(found: &str) -> Text {
    let text = if found.ends_with("://") { Text::of("active-text-link") } else { Text::of("active-text") };
    text.with("found", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_forbidden_word_is_found_anywhere() {
        for needle in FORBIDDEN.iter().chain(&FORBIDDEN_WORDS) {
            for text in [(*needle).to_owned(), format!("Olá, {}x = y", needle.to_uppercase())] {
                let found = active(&text).map(|(_, found)| found);
                assert_eq!(found.as_deref(), Some(*needle), "{text}");
            }
        }
    }

    #[test]
    fn disguised_scheme_is_found() {
        for text in [
            "java\tscript:x",
            "JAVASCRIPT :x",
            "&#106;avascript:x",
            "&#x6A;avascript:x",
            "&#0000106avascript:x",
            "java\nscript&colon;x",
            "javascript&#58;x",
            "file:&sol;&sol;x",
            "ftp:&#47;&#x2f;x",
            "java\u{200d}script:x",
            "&#4http://x",
            "&#xAhttps://x",
        ] {
            assert!(active(text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn first_of_two_active_texts_is_reported() {
        assert_eq!(active("ftp://x javascript:"), Some((0, "ftp://".to_owned())));
        assert_eq!(active("á javascript: ftp://x"), Some((3, "javascript:".to_owned())));
    }
}
