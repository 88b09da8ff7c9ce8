//! A field with more than one number: two whole ones, or a line and the last digits of its neighbour.

use super::written::read_one;
use super::{MeantNumbers, PhoneError, PhoneNumber};
use crate::{Reading, Text};

const WORDS: [&str; 4] = [" e ", " ou ", " and ", " or "];
const SEPARATORS: [char; 5] = ['/', ';', ',', '|', '&'];
/// `(11) 3222-1111/1112` names the whole end of the neighbour.
const MAX_NEIGHBOUR: usize = 4;

/// The first line of a line and its neighbour (`(11) 3222-1111/2`); none where the text is to be read as one number.
pub(super) fn read(text: &str) -> Result<Option<Reading<PhoneNumber>>, PhoneError> {
    let text = WORDS.iter().fold(text.to_owned(), |text, word| text.replace(word, ";"));
    for (first, separator, rest) in splits(&text, |other| SEPARATORS.contains(&other)) {
        if separator == "/" && is_neighbour(rest) {
            let explanation = Text::of("phone-neighbour-line").with("phone", first.value.national());
            return Ok(Some(first.warn("phone_neighbour_line", explanation)));
        }
        refuse_second(&first.value, rest)?;
        refuse_second(&first.value, rest.split(SEPARATORS).next().unwrap_or_default())?;
    }
    refuse_lone_digit(&text).map(|()| None)
}

/// Refuses two numbers with only a blank, a hyphen or a parenthesis between them.
pub(super) fn refuse_adjacent(text: &str) -> Result<(), PhoneError> {
    let mut splits = splits(text, |other| !other.is_ascii_digit());
    splits.try_for_each(|(first, _, rest)| refuse_second(&first.value, rest))
}

/// The places where a whole number ends: the number, the separator, and the text after it.
fn splits(text: &str, is_separator: impl Fn(char) -> bool) -> impl Iterator<Item = (Reading<PhoneNumber>, &str, &str)> {
    let places = text.match_indices(is_separator);
    places.filter_map(|(at, separator)| {
        let (before, rest) = text.split_at(at);
        Some((read_one(before).ok()?, separator, rest.get(separator.len()..)?))
    })
}

fn is_neighbour(text: &str) -> bool {
    let digits = text.trim_matches([' ', ')']);
    (1..=MAX_NEIGHBOUR).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The second number may lack the area code of the first.
fn refuse_second(first: &PhoneNumber, text: &str) -> Result<(), PhoneError> {
    let area = first.brazilian().map_or("", |(area, _)| area);
    let Ok(second) = read_one(text).or_else(|_| read_one(&format!("{area}{text}"))) else { return Ok(()) };
    let numbers = MeantNumbers::of([first.clone(), second.value]);
    numbers.map_or(Ok(()), |meant| Err(PhoneError::TwoNumbers { meant }))
}

/// `(11) 9888-7777-8` is a mobile in an odd spelling, or a line and its neighbour.
fn refuse_lone_digit(text: &str) -> Result<(), PhoneError> {
    let before = text.strip_suffix(|last: char| last.is_ascii_digit()).unwrap_or_default();
    if !before.ends_with([' ', '-', '.', '/']) {
        return Ok(());
    }
    let readings = [read_one(before), read_one(text)];
    let [Ok(line), Ok(whole)] = readings else { return Ok(()) };
    let meant = MeantNumbers::of([line.value, whole.value]);
    meant.map_or(Ok(()), |meant| Err(PhoneError::TwoReadings { meant }))
}
