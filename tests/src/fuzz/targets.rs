//! What is fuzzed, and what must be true of every answer. Inputs of several parts have lines of `---` between them.

mod bodies;
mod gateway;
mod texts;
mod values;

use super::Target;

const TEXT: usize = 8 << 10;
const BODY: usize = 48 << 10;
/// Hundreds of contacts, thousands of rows: as many as are read, twice, well within the time of one input.
const FILE: usize = 12 << 10;

/// All of them.
pub static TARGETS: [Target; 18] = [
    Target {
        name: "phone",
        words: &["+55", "0xx", "0055", "(11) ", "98888-7777", "015", "+1 ", "+351", "\u{2011}"],
        most_bytes: 400,
        read: values::phone,
    },
    Target {
        name: "money",
        words: &["1", ".", ",", "-", "R$ ", "00", "999999999", "1.234,56"],
        most_bytes: 400,
        read: values::money,
    },
    Target {
        name: "date",
        words: &["2026", "-", "/", "02", "29", "31", "10/11/2026", "T00:00:00Z"],
        most_bytes: 400,
        read: values::date,
    },
    Target {
        name: "name",
        words: &["MARIA ", "da ", "D'", "LTDA", "III", "İ", "ß", "\u{a0}", "&"],
        most_bytes: 2000,
        read: values::name,
    },
    Target {
        name: "reference",
        words: &["7K3F9Q", "Ref. ", "O", "0", "l", "I", "-"],
        most_bytes: TEXT,
        read: values::reference,
    },
    Target {
        name: "api_key",
        words: &["regua_", "abcdefgh", "_", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
        most_bytes: 400,
        read: values::api_key,
    },
    Target {
        name: "language",
        words: &["pt-BR", "en", ";q=", "0.8", ",", "*", "q=1"],
        most_bytes: 2000,
        read: values::language,
    },
    Target { name: "template", words: texts::TEMPLATE_WORDS, most_bytes: TEXT, read: texts::template },
    Target { name: "render", words: texts::TEMPLATE_WORDS, most_bytes: BODY, read: texts::render },
    Target { name: "variables", words: texts::VARIABLE_WORDS, most_bytes: BODY, read: texts::variables },
    Target { name: "schema", words: texts::SCHEMA_WORDS, most_bytes: BODY, read: texts::schema },
    Target { name: "outcome", words: gateway::WORDS, most_bytes: BODY, read: gateway::outcome },
    Target { name: "webhook", words: gateway::WORDS, most_bytes: BODY, read: gateway::webhook },
    Target { name: "doorbell", words: gateway::DOORBELL_WORDS, most_bytes: 4000, read: gateway::doorbell },
    Target { name: "problem", words: gateway::PROBLEM_WORDS, most_bytes: BODY, read: gateway::problem },
    Target { name: "batch", words: bodies::BATCH_WORDS, most_bytes: FILE, read: bodies::batch },
    Target { name: "contact_file", words: bodies::FILE_WORDS, most_bytes: FILE, read: bodies::contact_file },
    Target { name: "export", words: bodies::FILE_WORDS, most_bytes: TEXT, read: bodies::export },
];

/// Says what should be true, where it is not.
fn hold(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// The parts of an input, as text; the last is empty where there are fewer.
fn parts(input: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(input);
    let (first, second) = text.split_once("\n---\n").unwrap_or((&text, ""));
    (first.to_owned(), second.to_owned())
}

/// A message for a person is one line, in two languages, with nothing in it that moves a cursor.
fn explained(portuguese: &str, english: &str) -> Result<(), String> {
    hold(!portuguese.is_empty() && portuguese != english, "an error is explained in two languages")?;
    let is_printable = |text: &str| !text.chars().any(|character| character.is_control() && character != '\n');
    hold(is_printable(portuguese) && is_printable(english), "an explanation can be printed")?;
    hold(portuguese.len() < 4000 && english.len() < 4000, "an explanation is short")
}

/// The characters that an independent reading of Unicode would refuse first.
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

/// What a table's check constraint asks of a phone number.
fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}
