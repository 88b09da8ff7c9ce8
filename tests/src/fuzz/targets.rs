//! The fuzz targets with the properties of their answers. Inputs of two parts have a line of `---` between them.

mod bodies;
mod gateway;
mod texts;
mod values;

use std::collections::BTreeSet;

use regua_api::render_text;
use regua_domain::{Language, Text};

use super::Target;

const TEXT: usize = 8 << 10;
const BODY: usize = 48 << 10;
/// Hundreds of contacts or thousands of rows, which are parsed twice within the time limit of one input.
const FILE: usize = 12 << 10;

/// All targets.
pub static TARGETS: [Target; 18] = [
    Target {
        name: "phone",
        words: &["+55", "0xx", "0055", "(11) ", "98888-7777", "015", "+1 ", "+351", "\u{2011}"],
        max_bytes: 400,
        read: values::phone,
    },
    Target {
        name: "money",
        words: &["1", ".", ",", "-", "R$ ", "00", "999999999", "1.234,56"],
        max_bytes: 400,
        read: values::money,
    },
    Target {
        name: "date",
        words: &["2026", "-", "/", "02", "29", "31", "10/11/2026", "T00:00:00Z"],
        max_bytes: 400,
        read: values::date,
    },
    Target {
        name: "name",
        words: &["MARIA ", "da ", "D'", "LTDA", "III", "İ", "ß", "\u{a0}", "&"],
        max_bytes: 2000,
        read: values::name,
    },
    Target {
        name: "reference",
        words: &["7K3F9Q", "Ref. ", "O", "0", "l", "I", "-"],
        max_bytes: TEXT,
        read: values::reference,
    },
    Target {
        name: "api_key",
        words: &["regua_", "abcdefgh", "_", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
        max_bytes: 400,
        read: values::api_key,
    },
    Target {
        name: "language",
        words: &["pt-BR", "en", ";q=", "0.8", ",", "*", "q=1"],
        max_bytes: 2000,
        read: values::language,
    },
    Target { name: "template", words: texts::TEMPLATE_WORDS, max_bytes: TEXT, read: texts::template },
    Target { name: "render", words: texts::TEMPLATE_WORDS, max_bytes: BODY, read: texts::render },
    Target { name: "variables", words: texts::VARIABLE_WORDS, max_bytes: BODY, read: texts::variables },
    Target { name: "schema", words: texts::SCHEMA_WORDS, max_bytes: BODY, read: texts::schema },
    Target { name: "outcome", words: gateway::WORDS, max_bytes: BODY, read: gateway::outcome },
    Target { name: "webhook", words: gateway::WORDS, max_bytes: BODY, read: gateway::webhook },
    Target { name: "doorbell", words: gateway::DOORBELL_WORDS, max_bytes: 4000, read: gateway::doorbell },
    Target { name: "problem", words: gateway::PROBLEM_WORDS, max_bytes: BODY, read: gateway::problem },
    Target { name: "batch", words: bodies::BATCH_WORDS, max_bytes: FILE, read: bodies::batch },
    Target { name: "contact_file", words: bodies::FILE_WORDS, max_bytes: FILE, read: bodies::contact_file },
    Target { name: "export", words: bodies::FILE_WORDS, max_bytes: TEXT, read: bodies::export },
];

/// An error names the violated property.
fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// The two parts of an input; the second is empty if there is only one.
fn parts(input: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(input);
    let (first, second) = text.split_once("\n---\n").unwrap_or((&text, ""));
    (first.to_owned(), second.to_owned())
}

/// An error has a short text in each language, without control characters.
fn check_text(text: &Text) -> Result<(), String> {
    let texts = Language::ALL.map(|language| render_text(text, language));
    let is_printable = |text: &String| !text.chars().any(|character| character.is_control() && character != '\n');
    ensure(texts.iter().all(is_printable), "the text of an error can be printed")?;
    ensure(texts.iter().all(|text| text.len() < 4000), "the text of an error is short")?;
    differs_by_language(text)
}

fn differs_by_language(text: &Text) -> Result<(), String> {
    let texts: BTreeSet<_> = Language::ALL.map(|language| render_text(text, language)).into();
    ensure(texts.len() == Language::ALL.len() && !texts.contains(""), "an error has a text in each language")
}

/// A second implementation of the check for invisible characters, for the most important ones.
fn is_clean(text: &str, allowed: &[char]) -> bool {
    !text.chars().any(|other| {
        (other.is_control() && !allowed.contains(&other))
            || matches!(
                other,
                '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
            )
            || matches!(other, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e0fff}')
    })
}

/// The check constraint of phone numbers.
fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}
