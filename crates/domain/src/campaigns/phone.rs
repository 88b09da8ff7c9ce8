//! Phone numbers: Brazilian ones as ERPs store them, foreign ones in E.164. `field` reads what a field holds, `written`
//! the digits of one number; `brazil` has the rules for Brazil, and the `phonenumber` library checks foreign numbers.

mod address;
mod brazil;
mod documents;
mod extension;
mod field;
mod foreign;
mod joined;
mod marks;
mod meant;
mod repair;
mod spreadsheet;
mod written;

use std::fmt;

pub use self::meant::MeantNumbers;
use crate::Reading;

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
    /// Reads a number as people, ERPs, spreadsheets and WhatsApp write it, with warnings about what was assumed.
    ///
    /// Brazil: with or without `55`, `+55`, `0055`, a leading `0`, a carrier code (`0xx11`, `015 11`), punctuation; the
    /// area code (DDD) is required, and an eight-digit mobile gets its ninth digit without a warning. Ten or eleven
    /// digits are always read as DDD and number: `55 99999-8888` is a number in Rio Grande do Sul, with a warning.
    /// Other countries: E.164 with a leading `+`, a trunk prefix after the country code (`+44 (0)20…`) is dropped; with
    /// a warning where the digits are a Brazilian number too.
    ///
    /// Invisible characters, blanks, hyphens and full-width forms of any kind do not count, nor do a spreadsheet's
    /// `'…` and `="…"`. `tel:`, `whatsapp:`, `wa.me/` and WhatsApp's `@s.whatsapp.net` and `@c.us` are removed. The
    /// `.0` of a column of decimals and the neighbour of a line (`3222-1111/2`) are dropped, with a warning. No other
    /// digit is added or dropped.
    pub fn read(text: &str) -> Result<Reading<Self>, PhoneError> {
        field::read(text)
    }

    /// [`read`](Self::read) without the warnings.
    pub fn parse(text: &str) -> Result<Self, PhoneError> {
        Self::read(text).map(|reading| reading.value)
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

input_error! {
    /// Why a text is not a phone number. The text for people shows the numbers that are probably meant; Debug and Display
    /// show no number.
    pub enum PhoneError {
        Empty = "phone_empty", "the phone number is empty";
        InvalidCharacters = "phone_invalid_characters", "the phone number holds characters that do not belong in one";
        WithText { meant: MeantNumbers } = "phone_with_text", "words or symbols surround the phone number";
        TooShort = "phone_too_short", "the phone number has too few digits";
        TooLong = "phone_too_long", "the phone number has too many digits";
        InvalidAreaCode { area_code: String } = "phone_invalid_ddd", "{area_code:?} is no Brazilian area code";
        NinthDigit { meant: MeantNumbers } = "phone_ninth_digit", "a Brazilian number of nine digits must begin with 9";
        ServiceNumber = "phone_service_number", "service numbers such as 0800 receive no messages";
        Invalid = "phone_invalid", "the length is right, but no country has this phone number";
        LeadingZeros { meant: MeantNumbers } = "phone_leading_zeros", "too many zeros precede the phone number";
        DoubledCountryCode { meant: MeantNumbers } = "phone_doubled_country_code", "the country code 55 is repeated";
        MissingCountryCode { meant: MeantNumbers } = "phone_missing_country_code", "the country code 55 is missing";
        MissingPlus { meant: MeantNumbers } = "phone_missing_plus", "the plus before the country code is missing";
        TwoNumbers { meant: MeantNumbers } = "phone_two_numbers", "the field holds two phone numbers";
        TwoReadings { meant: MeantNumbers } = "phone_two_readings", "the last digit may be the line's or another line";
        Extension { meant: MeantNumbers } = "phone_extension", "the phone number has an extension";
        Scientific = "phone_scientific", "a spreadsheet rounded the phone number";
        WholeScientific { meant: MeantNumbers } = "phone_whole_scientific", "the phone number has an exponent";
        Decimal = "phone_decimal", "the phone number has decimals";
        Cpf = "phone_cpf", "the phone number looks like a CPF";
        Cnpj = "phone_cnpj", "the phone number looks like a CNPJ";
        Lid = "phone_lid", "WhatsApp's hidden identifier (LID) is no phone number";
        Group = "phone_group", "a WhatsApp group or channel is no phone number";
        Email = "phone_email", "the phone number looks like an e-mail address";
    }
}

#[cfg(test)]
mod tests;
