//! Why a text is not a phone number.

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
