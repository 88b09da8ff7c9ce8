//! The Brazilian numbering plan (Anatel, resolution 749/2022): area codes, the ninth digit, and the dialling prefixes
//! that ERPs store. The `phonenumber` library accepts every number made here (tested). Unlike the library, this module
//! refuses service numbers and adds the ninth digit to eight-digit mobiles.

use super::PhoneError;

const AREA_CODES: [&str; 67] = [
    "11", "12", "13", "14", "15", "16", "17", "18", "19", "21", "22", "24", "27", "28", "31", "32", "33", "34", "35",
    "37", "38", "41", "42", "43", "44", "45", "46", "47", "48", "49", "51", "53", "54", "55", "61", "62", "63", "64",
    "65", "66", "67", "68", "69", "71", "73", "74", "75", "77", "79", "81", "82", "83", "84", "85", "86", "87", "88",
    "89", "91", "92", "93", "94", "95", "96", "97", "98", "99",
];

/// Numbers without an area: freephone, shared cost, donations, premium rate.
const SERVICE_PREFIXES: [&str; 5] = ["0300", "0303", "0500", "0800", "0900"];

pub(super) fn without_plus(digits: &str) -> Result<String, PhoneError> {
    if let Some(with_country) = digits.strip_prefix("0055") {
        return national(with_country);
    }
    match digits.len() {
        // Country code and a whole number. Ten or eleven digits that begin with 55 are DDD 55 instead.
        12 | 13 if digits.starts_with("55") => national(digits.get(2..).unwrap_or_default()),
        _ => national(digits),
    }
}

/// E.164 of the digits after the country code: an optional trunk prefix, area code and subscriber number.
pub(super) fn national(digits: &str) -> Result<String, PhoneError> {
    if SERVICE_PREFIXES.iter().any(|prefix| digits.starts_with(prefix)) {
        return Err(PhoneError::ServiceNumber);
    }
    let significant = without_trunk_prefix(digits)?;
    match significant.len() {
        0..10 => return Err(PhoneError::TooShort),
        10 | 11 => {}
        _ => return Err(PhoneError::TooLong),
    }
    let (area, subscriber) = significant.split_at(2);
    if !AREA_CODES.contains(&area) {
        return Err(PhoneError::InvalidAreaCode { area_code: area.to_owned() });
    }
    let first = subscriber.as_bytes().first().copied().unwrap_or_default();
    match (subscriber.len(), first) {
        (8, b'2'..=b'5') | (9, b'9') => Ok(format!("+55{area}{subscriber}")),
        (8, b'6'..=b'9') => Ok(format!("+55{area}9{subscriber}")),
        (9, _) => Err(PhoneError::NinthDigit),
        _ => Err(PhoneError::Invalid),
    }
}

/// Removes `0`, or `0` and the two digits of a carrier (or of the country code, written `055`).
fn without_trunk_prefix(digits: &str) -> Result<&str, PhoneError> {
    let Some(rest) = digits.strip_prefix('0') else { return Ok(digits) };
    match rest.len() {
        _ if rest.starts_with('0') => Err(PhoneError::Invalid),
        12 | 13 => Ok(rest.get(2..).unwrap_or_default()),
        _ => Ok(rest),
    }
}
