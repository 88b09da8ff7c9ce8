//! Reads a field for one phone number: what surrounds the number is removed or refused, in this order.

use super::written::read_one;
use super::{PhoneError, PhoneNumber, address, documents, extension, joined, marks, repair, spreadsheet};
use crate::{Reading, Text};

/// Bytes before marks, links and quotes are removed.
const MAX_BYTES: usize = 1 << 10;
/// Characters of what is left: three numbers with area codes fit, so that they are refused by their name.
const MAX_CHARACTERS: usize = 80;

pub(super) fn read(text: &str) -> Result<Reading<PhoneNumber>, PhoneError> {
    if text.len() > MAX_BYTES {
        return Err(PhoneError::TooLong);
    }
    let text = address::without_address(&marks::without_marks(text))?;
    match text.chars().count() {
        0 => return Err(PhoneError::Empty),
        1..=MAX_CHARACTERS => {}
        _ => return Err(PhoneError::TooLong),
    }
    spreadsheet::refuse_exponent(&text)?;
    let integer = spreadsheet::without_decimals(&text)?;
    let reading = read_integer(integer.unwrap_or(&text))?;
    if integer.is_none() {
        return Ok(reading);
    }
    let explanation = Text::of("phone-decimal-zero").with("phone", reading.value.national());
    Ok(reading.warn("phone_decimal_zero", explanation))
}

fn read_integer(text: &str) -> Result<Reading<PhoneNumber>, PhoneError> {
    documents::refuse(text)?;
    extension::refuse(text)?;
    if let Some(reading) = joined::read(text)? {
        return Ok(reading);
    }
    read_one(text).map_err(|error| repair::explain(text, error))
}

#[cfg(test)]
mod tests;
