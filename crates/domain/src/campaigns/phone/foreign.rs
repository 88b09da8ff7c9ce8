//! Numbers of other countries, checked by the `phonenumber` library.

use super::{MAX_DIGITS, MIN_DIGITS, PhoneError, PhoneNumber};
use crate::Text;

const TRUNK_PREFIXES: [&str; 5] = ["0", "1", "8", "01", "06"];

/// Parses the digits of a number, country code first. The library drops a trunk prefix (`+44 (0)20…`).
pub(super) fn parse(digits: &str) -> Result<PhoneNumber, PhoneError> {
    if digits.len() > MAX_DIGITS {
        return Err(PhoneError::TooLong);
    }
    if digits.len() < MIN_DIGITS {
        return Err(PhoneError::TooShort);
    }
    let number = phonenumber::parse(None, format!("+{digits}")).map_err(|_| PhoneError::Invalid)?;
    let (country, national) = (number.code().value().to_string(), number.national().to_string());
    // For some countries the library adds an area code or a mobile prefix, and it may drop the prefix twice.
    let dropped = digits.strip_prefix(&country).and_then(|rest| rest.strip_suffix(&national));
    if !number.is_valid() || !dropped.is_some_and(|prefix| prefix.is_empty() || TRUNK_PREFIXES.contains(&prefix)) {
        return Err(PhoneError::Invalid);
    }
    Ok(PhoneNumber { e164: number.format().mode(phonenumber::Mode::E164).to_string() })
}

/// The country of a number whose digits may begin with a Brazilian area code.
pub(super) fn country(digits: &str) -> Text {
    match digits.get(..2).unwrap_or_default() {
        start if start.starts_with('1') => Text::of("country-1"),
        start if start.starts_with('7') => Text::of("country-7"),
        "27" => Text::of("country-27"),
        "31" => Text::of("country-31"),
        "32" => Text::of("country-32"),
        "33" => Text::of("country-33"),
        "34" => Text::of("country-34"),
        "41" => Text::of("country-41"),
        "43" => Text::of("country-43"),
        "44" => Text::of("country-44"),
        "45" => Text::of("country-45"),
        "46" => Text::of("country-46"),
        "47" => Text::of("country-47"),
        "48" => Text::of("country-48"),
        "49" => Text::of("country-49"),
        "51" => Text::of("country-51"),
        "53" => Text::of("country-53"),
        "54" => Text::of("country-54"),
        "61" => Text::of("country-61"),
        "62" => Text::of("country-62"),
        "63" => Text::of("country-63"),
        "64" => Text::of("country-64"),
        "65" => Text::of("country-65"),
        "66" => Text::of("country-66"),
        "81" => Text::of("country-81"),
        "82" => Text::of("country-82"),
        "84" => Text::of("country-84"),
        "86" => Text::of("country-86"),
        "91" => Text::of("country-91"),
        "92" => Text::of("country-92"),
        "93" => Text::of("country-93"),
        "94" => Text::of("country-94"),
        "95" => Text::of("country-95"),
        "98" => Text::of("country-98"),
        _ => Text::of("country-other"),
    }
}
