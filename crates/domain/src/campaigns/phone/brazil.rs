//! The Brazilian numbering plan (Anatel, resolution 749/2022): area codes, the ninth digit, and the dialling prefixes
//! that ERPs store. The `phonenumber` library accepts every number made here (tested). Unlike the library, this module
//! refuses service numbers and adds the ninth digit to eight-digit mobiles.

use super::{MeantNumbers, PhoneError, PhoneNumber};
use crate::{Reading, Text};

const AREA_CODES: [&str; 67] = [
    "11", "12", "13", "14", "15", "16", "17", "18", "19", "21", "22", "24", "27", "28", "31", "32", "33", "34", "35",
    "37", "38", "41", "42", "43", "44", "45", "46", "47", "48", "49", "51", "53", "54", "55", "61", "62", "63", "64",
    "65", "66", "67", "68", "69", "71", "73", "74", "75", "77", "79", "81", "82", "83", "84", "85", "86", "87", "88",
    "89", "91", "92", "93", "94", "95", "96", "97", "98", "99",
];

/// Numbers without an area: freephone, shared cost, donations, premium rate.
const SERVICE_PREFIXES: [&str; 5] = ["0300", "0303", "0500", "0800", "0900"];

pub(super) fn without_plus(digits: &str) -> Result<Reading<PhoneNumber>, PhoneError> {
    if let Some(with_country) = digits.strip_prefix("0055") {
        return national(with_country);
    }
    match digits.strip_prefix("55") {
        // Country code and a whole number. Ten or eleven digits that begin with 55 are DDD 55 instead.
        Some(rest) if matches!(digits.len(), 12 | 13) || rest.starts_with('0') => national(rest),
        _ => national(digits),
    }
}

/// The number of the digits after the country code: an optional trunk prefix, area code and subscriber number.
pub(super) fn national(digits: &str) -> Result<Reading<PhoneNumber>, PhoneError> {
    if SERVICE_PREFIXES.iter().any(|prefix| digits.starts_with(prefix)) {
        return Err(PhoneError::ServiceNumber);
    }
    let (carrier, significant) = without_trunk_prefix(digits)?;
    let number = significant_number(significant)?;
    // A typing error may look like a carrier.
    let Some(carrier) = carrier else { return Ok(Reading::certain(number)) };
    let explanation = Text::of("phone-carrier").with("phone", number.national()).with("carrier", carrier);
    Ok(Reading::certain(number).warn("phone_carrier", explanation))
}

fn significant_number(digits: &str) -> Result<PhoneNumber, PhoneError> {
    match digits.len() {
        0..10 => return Err(PhoneError::TooShort),
        10 | 11 => {}
        _ => return Err(PhoneError::TooLong),
    }
    let (area, subscriber) = digits.split_at(2);
    if !AREA_CODES.contains(&area) {
        return Err(PhoneError::InvalidAreaCode { area_code: area.to_owned() });
    }
    let (first, last) = subscriber.split_at(1);
    match (last.len(), first) {
        (7, "2" | "3" | "4" | "5") | (8, "9") => Ok(PhoneNumber { e164: format!("+55{area}{subscriber}") }),
        (7, "6" | "7" | "8" | "9") => Ok(PhoneNumber { e164: format!("+55{area}9{subscriber}") }),
        (8, _) => Err(wrong_ninth_digit(area, last)),
        _ => Err(PhoneError::Invalid),
    }
}

/// The first of nine digits is wrong, or it is one too many.
fn wrong_ninth_digit(area: &str, last_eight: &str) -> PhoneError {
    let mobile = PhoneNumber { e164: format!("+55{area}9{last_eight}") };
    let shorter = significant_number(&format!("{area}{last_eight}")).ok();
    let meant = MeantNumbers::of([mobile].into_iter().chain(shorter));
    meant.map_or(PhoneError::Invalid, |meant| PhoneError::NinthDigit { meant })
}

/// The carrier and the digits after `0`, or after `0` and the two digits of a carrier (or of the country code, written
/// `055`, which is no carrier).
fn without_trunk_prefix(digits: &str) -> Result<(Option<&str>, &str), PhoneError> {
    let Some(rest) = digits.strip_prefix('0') else { return Ok((None, digits)) };
    match rest.len() {
        _ if rest.starts_with('0') => Err(PhoneError::Invalid),
        12 | 13 => {
            let (carrier, significant) = rest.split_at(2);
            Ok(((carrier != "55").then_some(carrier), significant))
        }
        _ => Ok((None, rest)),
    }
}
