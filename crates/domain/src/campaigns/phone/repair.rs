//! The fault of a text that is no number, by its name, with the numbers that are probably meant.

use super::written::{Written, read_one};
use super::{MeantNumbers, PhoneError, PhoneNumber, brazil, foreign, joined};

/// A more exact error than the one of the digits, where the fault is known.
pub(super) fn explain(text: &str, error: PhoneError) -> PhoneError {
    let named = match &error {
        PhoneError::InvalidCharacters => surrounded(text),
        PhoneError::TooShort | PhoneError::TooLong | PhoneError::Invalid | PhoneError::InvalidAreaCode { .. } => {
            let misdialled = || Written::parse(text).ok().and_then(|written| misdialled(&written));
            joined::refuse_adjacent(text).err().or_else(misdialled)
        }
        _ => None,
    };
    let is_long_id = text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit());
    named.unwrap_or(if is_long_id { PhoneError::Cnpj } else { error })
}

/// A number with words before or after it, and none within it.
fn surrounded(text: &str) -> Option<PhoneError> {
    let start = text.find(|first: char| first.is_ascii_digit())?;
    let (before, rest) = text.split_at(start);
    let plus = if before.trim_end_matches([' ', '(']).ends_with('+') { "+" } else { "" };
    let number = rest.trim_end_matches(|last: char| !last.is_ascii_digit());
    let meant = read_one(&format!("{plus}{number}")).ok()?.value.into();
    Some(PhoneError::WithText { meant })
}

fn misdialled(written: &Written) -> Option<PhoneError> {
    let Written { digits, has_plus, .. } = written;
    let significant = digits.trim_start_matches('0');
    if digits.starts_with("00") || (*has_plus && digits.starts_with('0')) {
        let readings = [brazilian(significant), abroad(significant)].into_iter().flatten();
        if let Some(meant) = MeantNumbers::of(readings) {
            return Some(PhoneError::LeadingZeros { meant });
        }
    }
    if let Some(number) = significant.starts_with("5555").then(|| after_country_codes(significant)).flatten() {
        return Some(PhoneError::DoubledCountryCode { meant: number.into() });
    }
    if *has_plus {
        // After the code of Brazil, an area code is missing.
        let number = brazilian(digits).filter(|_| !digits.starts_with("55"));
        return number.map(|number| PhoneError::MissingCountryCode { meant: number.into() });
    }
    let number = abroad(digits).filter(|_| digits.len() > 11)?;
    Some(PhoneError::MissingPlus { meant: number.into() })
}

fn brazilian(digits: &str) -> Option<PhoneNumber> {
    brazil::without_plus(digits).ok().map(|reading| reading.value)
}

fn abroad(digits: &str) -> Option<PhoneNumber> {
    foreign::parse(digits).ok().filter(|_| !digits.starts_with("55"))
}

fn after_country_codes(digits: &str) -> Option<PhoneNumber> {
    let rest = digits.strip_prefix("55")?;
    brazil::national(rest).ok().map(|reading| reading.value).or_else(|| after_country_codes(rest))
}
