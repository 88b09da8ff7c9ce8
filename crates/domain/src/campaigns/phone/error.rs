//! Why a text is not a phone number. No error repeats the number.

use crate::Text;

/// Why a text is not a phone number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// Only spaces.
    #[error("the phone number is empty")]
    Empty,
    /// A letter, a control character, or a plus in the middle.
    #[error("the phone number holds characters that do not belong in one")]
    InvalidCharacters,
    /// Fewer digits than area code and number.
    #[error("the phone number has too few digits")]
    TooShort,
    /// More digits than any number has.
    #[error("the phone number has too many digits")]
    TooLong,
    /// Brazil has no such area code.
    #[error("{area_code:?} is no Brazilian area code")]
    InvalidAreaCode {
        /// The two digits of the area code.
        area_code: String,
    },
    /// Nine digits that do not begin with 9.
    #[error("a Brazilian number of nine digits must begin with 9")]
    NinthDigit,
    /// 0800 and similar.
    #[error("service numbers such as 0800 receive no messages")]
    ServiceNumber,
    /// The length is right, but no country has this number.
    #[error("the phone number is not valid")]
    Invalid,
}

impl PhoneError {
    /// Stable name in problem documents.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "phone_empty",
            Self::InvalidCharacters => "phone_invalid_characters",
            Self::TooShort => "phone_too_short",
            Self::TooLong => "phone_too_long",
            Self::InvalidAreaCode { .. } => "phone_invalid_ddd",
            Self::NinthDigit => "phone_ninth_digit",
            Self::ServiceNumber => "phone_service_number",
            Self::Invalid => "phone_invalid",
        }
    }

    /// The explanation for people.
    pub fn text(&self) -> Text {
        let text = Text::of_code(self.code());
        match self {
            Self::InvalidAreaCode { area_code } => text.with("area_code", area_code),
            _ => text,
        }
    }
}
