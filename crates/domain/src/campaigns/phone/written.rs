//! The digits of one number, and the number that they are.

use super::{PhoneError, PhoneNumber, brazil, foreign};
use crate::{Reading, Text};

/// The digits of a text, and whether a plus precedes them.
pub(super) struct Written {
    pub(super) digits: String,
    pub(super) has_plus: bool,
    /// Parentheses mark 55 as the area code.
    is_area_marked: bool,
}

/// Reads a text that holds one number and no other digits.
pub(super) fn read_one(text: &str) -> Result<Reading<PhoneNumber>, PhoneError> {
    let written = Written::parse(text)?;
    let digits = written.digits.as_str();
    match digits.strip_prefix("55") {
        _ if !written.has_plus => Ok(written.warn_of_area_55(brazil::without_plus(digits)?)),
        Some(national) => brazil::national(national),
        None => Ok(warn_of_plus(foreign::parse(digits)?, digits)),
    }
}

impl Written {
    pub(super) fn parse(text: &str) -> Result<Self, PhoneError> {
        let is_area_marked = text.contains("(55)");
        let mut written = Self { digits: String::with_capacity(text.len()), has_plus: false, is_area_marked };
        for character in text.chars() {
            written.add(character)?;
        }
        written.drop_carrier_placeholder()?;
        if written.digits.is_empty() { Err(PhoneError::TooShort) } else { Ok(written) }
    }

    fn add(&mut self, character: char) -> Result<(), PhoneError> {
        match character {
            '0'..='9' | 'x' => self.digits.push(character),
            '+' if !self.has_plus && self.digits.is_empty() => self.has_plus = true,
            ' ' | '(' | ')' | '-' | '.' | '/' => {}
            _ => return Err(PhoneError::InvalidCharacters),
        }
        Ok(())
    }

    /// Brazilian letterheads write `0xx11…` for "0, a carrier of your choice, 11…"; any other x is invalid.
    fn drop_carrier_placeholder(&mut self) -> Result<(), PhoneError> {
        let country = if self.digits.starts_with("0055") { "0055" } else { "55" };
        if let Some(rest) = self.digits.strip_prefix(country).and_then(|rest| rest.strip_prefix("0xx")) {
            self.digits = format!("{country}{rest}");
        } else if let Some(rest) = self.digits.strip_prefix("0xx").filter(|_| !self.has_plus) {
            self.digits = rest.to_owned();
        }
        if self.digits.contains('x') { Err(PhoneError::InvalidCharacters) } else { Ok(()) }
    }

    /// `55 98888-7777` may be a number whose area code is missing after the country code.
    fn warn_of_area_55(&self, reading: Reading<PhoneNumber>) -> Reading<PhoneNumber> {
        let national = self.digits.strip_prefix('0').unwrap_or(&self.digits);
        if !national.starts_with("55") || national.len() > 11 || self.is_area_marked {
            return reading;
        }
        let explanation =
            Text::of("phone-area-55").with("phone", reading.value.national()).with("certain", reading.value.as_e164());
        reading.warn("phone_area_55", explanation)
    }
}

/// `+51 98888-7777` is a number in Peru, unless the plus was written before an area code.
fn warn_of_plus(number: PhoneNumber, digits: &str) -> Reading<PhoneNumber> {
    let Ok(national) = brazil::national(digits) else { return Reading::certain(number) };
    let explanation = Text::of("phone-foreign")
        .with("phone", number.as_e164())
        .with_text("country", foreign::country(digits))
        .with("national", national.value.national());
    Reading::certain(number).warn("phone_foreign", explanation)
}
