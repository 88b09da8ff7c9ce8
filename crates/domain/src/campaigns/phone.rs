//! Phone numbers: Brazilian ones as ERPs store them, foreign ones in E.164. `brazil` has the rules for Brazil; the
//! `phonenumber` library checks foreign numbers.

mod brazil;

use std::fmt;

const MAX_TEXT: usize = 40;
/// E.164 allows fifteen digits, country code included.
const MAX_DIGITS: usize = 15;
/// The check constraint's minimum.
const MIN_DIGITS: usize = 7;

/// The kind of line of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PhoneKind {
    /// A Brazilian mobile, nine digits after the area code.
    Mobile,
    /// A Brazilian landline; accepted because WhatsApp Business may use one.
    Landline,
    /// A number of another country.
    Foreign,
}

/// A valid phone number. Debug hides its middle.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhoneNumber {
    e164: String,
}

impl PhoneNumber {
    /// Reads a number as people and ERPs write it.
    ///
    /// Brazil: with or without `55`, `+55`, `0055`, a leading `0`, a carrier code (`0xx11`, `015 11`), punctuation; the
    /// area code (DDD) is required, and an eight-digit mobile gets its ninth digit. Ten or eleven digits are always
    /// read as DDD and number, so `55 99999-8888` is a number in Rio Grande do Sul. Other countries: E.164 with a
    /// leading `+`.
    pub fn parse(text: &str) -> Result<Self, PhoneError> {
        let written = Written::read(text)?;
        let e164 = match written.digits.strip_prefix("55") {
            _ if !written.has_plus => brazil::without_plus(&written.digits)?,
            Some(national) => brazil::national(national)?,
            None => foreign(&written.digits)?,
        };
        Ok(Self { e164 })
    }

    /// Reads a stored [`as_e164`](Self::as_e164). Only the form is checked, because the library's rules of a country
    /// may have changed since.
    pub fn from_stored(text: &str) -> Result<Self, PhoneError> {
        let digits = text.strip_prefix('+').ok_or(PhoneError::Invalid)?;
        let is_e164 = (MIN_DIGITS..=MAX_DIGITS).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_e164 { Ok(Self { e164: text.to_owned() }) } else { Err(PhoneError::Invalid) }
    }

    /// The stored form, with the plus, such as `+5511988887777`.
    pub fn as_e164(&self) -> &str {
        &self.e164
    }

    /// Evolution API's form, without the plus, such as `5511988887777`.
    pub fn digits(&self) -> &str {
        self.e164.trim_start_matches('+')
    }

    /// The digits that WhatsApp may have registered: a Brazilian mobile without its ninth digit, a Mexican number with
    /// a 1 and an Argentine one with a 9 after the country code. Evolution API converts them by its own rules.
    pub fn whatsapp_digits(&self) -> Vec<String> {
        let mut all = vec![self.digits().to_owned()];
        if let Some((area, subscriber)) = self.brazilian() {
            match subscriber.strip_prefix('9').filter(|rest| rest.len() == 8) {
                Some(rest) => all.push(format!("55{area}{rest}")),
                None => all.push(format!("55{area}9{subscriber}")),
            }
        }
        for (country, digit) in [("52", '1'), ("54", '9')] {
            if let Some(national) = self.digits().strip_prefix(country) {
                match national.strip_prefix(digit).filter(|rest| rest.len() == 10) {
                    Some(rest) => all.push(format!("{country}{rest}")),
                    None => all.push(format!("{country}{digit}{national}")),
                }
            }
        }
        all
    }

    /// The E.164 forms of the same line, this one first: with and without Brazil's ninth digit, Mexico's 1 and
    /// Argentina's 9. Forms that may be another line are left out: in Brazil `9 3333-4444` is a mobile and `3333-4444`
    /// another landline.
    pub fn same_line(&self) -> Vec<Self> {
        let is_own = |digits: &str| {
            let subscriber =
                digits.strip_prefix("55").filter(|rest| matches!(rest.len(), 10 | 11)).and_then(|rest| rest.get(2..));
            subscriber.is_none_or(|subscriber| subscriber.len() == 8 && subscriber.starts_with(['6', '7', '8', '9']))
        };
        let others = self.whatsapp_digits().into_iter().skip(1).filter(|digits| is_own(digits));
        [self.clone()].into_iter().chain(others.map(|digits| Self { e164: format!("+{digits}") })).collect()
    }

    /// Mobile, landline or foreign.
    pub fn kind(&self) -> PhoneKind {
        match self.brazilian() {
            None => PhoneKind::Foreign,
            Some((_, subscriber)) if subscriber.len() == 9 => PhoneKind::Mobile,
            Some(_) => PhoneKind::Landline,
        }
    }

    /// The national form `(11) 98888-7777`; a foreign number stays in E.164. For messages, never for logs.
    pub fn national(&self) -> String {
        let Some((ddd, subscriber)) = self.brazilian() else { return self.e164.clone() };
        let (exchange, line) = subscriber.split_at(subscriber.len().saturating_sub(4));
        format!("({ddd}) {exchange}-{line}")
    }

    /// The form for logs and operators, such as `+55119****7777`.
    pub fn masked(&self) -> String {
        let (head, last) = self.e164.split_at(self.e164.len().saturating_sub(4));
        let country = head.get(..head.len().saturating_sub(4)).filter(|prefix| !prefix.is_empty()).unwrap_or("+");
        format!("{country}****{last}")
    }

    fn brazilian(&self) -> Option<(&str, &str)> {
        let national = self.e164.strip_prefix("+55")?;
        matches!(national.len(), 10 | 11).then(|| national.split_at(2))
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// The digits of a text, and whether a plus precedes them.
struct Written {
    digits: String,
    has_plus: bool,
}

impl Written {
    fn read(text: &str) -> Result<Self, PhoneError> {
        let text = text.trim_matches(' ');
        if text.is_empty() {
            return Err(PhoneError::Empty);
        }
        if text.chars().count() > MAX_TEXT {
            return Err(PhoneError::TooLong);
        }
        let mut written = Self { digits: String::with_capacity(MAX_TEXT), has_plus: false };
        for character in text.chars() {
            written.take(character)?;
        }
        written.drop_carrier_placeholder()?;
        if written.digits.is_empty() {
            return Err(PhoneError::TooShort);
        }
        Ok(written)
    }

    fn take(&mut self, character: char) -> Result<(), PhoneError> {
        match character {
            '0'..='9' => self.digits.push(character),
            'x' | 'X' => self.digits.push('x'),
            '+' if !self.has_plus && self.digits.is_empty() => self.has_plus = true,
            ' ' | '\u{a0}' | '(' | ')' | '-' | '.' | '/' | '\u{2010}'..='\u{2015}' => {}
            _ => return Err(PhoneError::InvalidCharacters),
        }
        Ok(())
    }

    /// Brazilian letterheads write `0xx11…` for "0, a carrier of your choice, 11…"; any other x is invalid.
    fn drop_carrier_placeholder(&mut self) -> Result<(), PhoneError> {
        for prefix in ["0xx", "550xx", "00550xx"] {
            if let Some(rest) = self.digits.strip_prefix(prefix) {
                self.digits = format!("{}{rest}", prefix.trim_end_matches("0xx"));
                break;
            }
        }
        if self.digits.contains('x') { Err(PhoneError::InvalidCharacters) } else { Ok(()) }
    }
}

fn foreign(digits: &str) -> Result<String, PhoneError> {
    if digits.len() > MAX_DIGITS {
        return Err(PhoneError::TooLong);
    }
    if digits.len() < MIN_DIGITS {
        return Err(PhoneError::TooShort);
    }
    let number = phonenumber::parse(None, format!("+{digits}")).map_err(|_| PhoneError::Invalid)?;
    if !number.is_valid() {
        return Err(PhoneError::Invalid);
    }
    Ok(number.format().mode(phonenumber::Mode::E164).to_string())
}

input_error! {
    /// Why a text is not a phone number. No error repeats the number.
    pub enum PhoneError {
        Empty = "phone_empty", "the phone number is empty";
        InvalidCharacters = "phone_invalid_characters", "the phone number holds characters that do not belong in one";
        TooShort = "phone_too_short", "the phone number has too few digits";
        TooLong = "phone_too_long", "the phone number has too many digits";
        InvalidAreaCode { area_code: String } = "phone_invalid_ddd", "{area_code:?} is no Brazilian area code";
        NinthDigit = "phone_ninth_digit", "a Brazilian number of nine digits must begin with 9";
        ServiceNumber = "phone_service_number", "service numbers such as 0800 receive no messages";
        Invalid = "phone_invalid", "the length is right, but no country has this phone number";
    }
}

#[cfg(test)]
mod tests;
