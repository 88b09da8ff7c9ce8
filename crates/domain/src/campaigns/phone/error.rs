//! Why a text is not a phone number. No error repeats the number.

use crate::Language;

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
    pub fn explain(&self, language: Language) -> String {
        let text = match self {
            Self::InvalidAreaCode { area_code } => return explain_area_code(area_code, language),
            Self::Empty => language.pick(
                "O telefone está vazio. Informe DDD e número, por exemplo (11) 98888-7777.",
                "The phone number is empty. Give area code and number, for example (11) 98888-7777.",
            ),
            Self::InvalidCharacters => language.pick(
                "O telefone contém letras ou símbolos. Use só dígitos, espaços, parênteses, ponto, hífen e, no início, +.",
                "The phone number holds letters or symbols. Use digits, spaces, parentheses, dots, hyphens and a leading + only.",
            ),
            Self::TooShort => language.pick(
                "O telefone tem dígitos de menos. Informe DDD e número, por exemplo (11) 98888-7777; de outro país, +, código do país e número.",
                "The phone number has too few digits. Give area code and number, for example (11) 98888-7777; abroad, +, country code and number.",
            ),
            Self::TooLong => language.pick(
                "O telefone tem dígitos demais. Informe um só número, por exemplo 11988887777 ou +5511988887777.",
                "The phone number has too many digits. Give one number only, for example 11988887777 or +5511988887777.",
            ),
            Self::NinthDigit => language.pick(
                "Um celular brasileiro tem nove dígitos depois do DDD e começa com 9; um fixo tem oito. Confira o número.",
                "A Brazilian mobile has nine digits after the area code and begins with 9; a landline has eight. Check the number.",
            ),
            Self::ServiceNumber => language.pick(
                "Números de serviço como 0800 não recebem mensagens. Informe o celular do contato com DDD.",
                "Service numbers such as 0800 receive no messages. Give the contact's mobile with its area code.",
            ),
            Self::Invalid => language.pick(
                "O telefone não existe em nenhum plano de numeração. Informe DDD e número, por exemplo (11) 98888-7777; de outro país, comece com + e o código do país.",
                "The phone number fits no numbering plan. Give area code and number, for example (11) 98888-7777; abroad, begin with + and the country code.",
            ),
        };
        text.to_owned()
    }
}

fn explain_area_code(area_code: &str, language: Language) -> String {
    language.pick(
        format!(
            "{area_code} não é um DDD do Brasil. Informe DDD e número, por exemplo (11) 98888-7777; de outro país, comece com +."
        ),
        format!(
            "{area_code} is no Brazilian area code. Give area code and number, for example (11) 98888-7777; abroad, begin with +."
        ),
    )
}
