//! Amounts in Brazilian reais, in centavos, so that no amount is rounded.

use std::fmt;

/// An amount in Brazilian reais, above zero and at most R$ 999.999.999,99.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Money {
    cents: i64,
}

const MAX_CENTS: i64 = 99_999_999_999;
/// Bytes of a text that may be an amount in another form.
const MAX_TEXT: usize = 40;

impl Money {
    /// Reads a decimal string with a dot and at most two decimals: `150`, `150.5`, `150.00`. A comma is refused,
    /// because `1,234` is one amount in Brazil and another in English-speaking countries.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        if text.is_empty() {
            return Err(MoneyError::Empty);
        }
        let (whole, decimals) = text.split_once('.').map_or((text, None), |(whole, decimals)| (whole, Some(decimals)));
        if !is_digits(whole) || !decimals.is_none_or(is_digits) {
            return Err(MoneyError::malformed(text));
        }
        let decimals = decimals.unwrap_or_default();
        if decimals.len() > 2 {
            return Err(MoneyError::TooManyDecimals);
        }
        let whole = whole.trim_start_matches('0');
        if whole.len() > 9 {
            return Err(MoneyError::TooLarge);
        }
        let cents = format!("{whole}{decimals:0<2}").parse().map_err(|_| MoneyError::TooLarge)?;
        Self::from_cents(cents)
    }

    /// The amount of so many centavos.
    pub fn from_cents(cents: i64) -> Result<Self, MoneyError> {
        match cents {
            ..=0 => Err(MoneyError::NotPositive),
            1..=MAX_CENTS => Ok(Self { cents }),
            _ => Err(MoneyError::TooLarge),
        }
    }

    /// Centavos.
    pub const fn cents(self) -> i64 {
        self.cents
    }

    /// The form in messages: `R$ 1.234,56`.
    pub fn format_brl(self) -> String {
        let whole = (self.cents / 100).to_string();
        let mut grouped = String::with_capacity(whole.len() + 2);
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                grouped.push('.');
            }
            grouped.push(digit);
        }
        format!("R$ {grouped},{:02}", self.cents % 100)
    }
}

/// The API's form: `1234.56`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.cents / 100, self.cents % 100)
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

input_error! {
    /// Why a text is not an amount. `suggestion` is the same amount in the expected form where it is recognised, else an
    /// example.
    pub enum MoneyError {
        Empty = "amount_empty", "the amount is empty";
        Malformed { text: String, suggestion: String } = "amount_malformed",
            "the amount {text:?} is not a decimal number with a dot, such as {suggestion:?}";
        TooManyDecimals = "amount_too_many_decimals", "the amount has more than two decimals";
        NotPositive = "amount_not_positive", "the amount must be above zero";
        TooLarge = "amount_too_large", "the amount is above 999999999.99";
    }
}

impl MoneyError {
    fn malformed(text: &str) -> Self {
        // A digit follows the sign, so that `parse` calls this function once more at most.
        let unsigned = text.strip_prefix('-').filter(|amount| amount.starts_with(|first: char| first.is_ascii_digit()));
        if unsigned.is_some_and(|amount| Money::parse(amount).is_ok()) {
            return Self::NotPositive;
        }
        let suggestion = suggest(text).unwrap_or_else(|| "1234.56".to_owned());
        Self::Malformed { text: text.chars().take(30).filter(|shown| !shown.is_control()).collect(), suggestion }
    }
}

/// The amount that the text probably means, for the explanation only. The last comma or dot with one or two digits
/// after it is read as the decimal mark, the others as thousands.
fn suggest(text: &str) -> Option<String> {
    let amount = text.trim().trim_start_matches("R$").trim();
    if amount.len() > MAX_TEXT || !amount.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',')) {
        return None;
    }
    let (whole, decimals) = match amount.rfind(['.', ',']) {
        Some(at) if matches!(amount.len() - at, 2 | 3) => (amount.get(..at)?, amount.get(at + 1..)?),
        _ => (amount, "00"),
    };
    let whole: String = whole.chars().filter(char::is_ascii_digit).collect();
    // The leading zero keeps the form valid where no digit is left, so that `parse` does not call this function again.
    Money::parse(&format!("0{whole}.{decimals}")).ok().map(|money| money.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Text;

    #[test]
    fn decimal_strings_with_a_dot_are_exact() {
        for (text, cents) in [
            ("150", 15_000),
            ("150.5", 15_050),
            ("150.00", 15_000),
            ("0.01", 1),
            ("00150.10", 15_010),
            ("999999999.99", MAX_CENTS),
        ] {
            assert_eq!(Money::parse(text).map(Money::cents), Ok(cents), "{text}");
        }
    }

    #[test]
    fn long_amount_is_refused_without_recursion() {
        for text in ["-", "1,", "."] {
            assert_eq!(Money::parse(&text.repeat(1 << 20)).unwrap_err().code(), "amount_malformed");
        }
    }

    #[test]
    fn ambiguous_amount_is_refused() {
        for (text, code) in [
            ("", "amount_empty"),
            ("1.234,56", "amount_malformed"),
            ("1,234.56", "amount_malformed"),
            ("1234,56", "amount_malformed"),
            ("R$ 10", "amount_malformed"),
            (" 10", "amount_malformed"),
            ("10 ", "amount_malformed"),
            ("10.", "amount_malformed"),
            (".50", "amount_malformed"),
            ("1e3", "amount_malformed"),
            ("NaN", "amount_malformed"),
            ("+10", "amount_malformed"),
            ("1.2.3", "amount_malformed"),
            (".", "amount_malformed"),
            ("--1", "amount_malformed"),
            ("１０", "amount_malformed"),
            ("-10.00", "amount_not_positive"),
            ("0", "amount_not_positive"),
            ("0.00", "amount_not_positive"),
            ("10.001", "amount_too_many_decimals"),
            ("1000000000", "amount_too_large"),
            ("99999999999999999999999", "amount_too_large"),
        ] {
            assert_eq!(Money::parse(text).unwrap_err().code(), code, "{text}");
        }
    }

    #[test]
    fn explanation_shows_the_expected_form() {
        for (text, expected) in [
            ("1.234,56", "1234.56"),
            ("R$ 10", "10.00"),
            ("1,234.56", "1234.56"),
            ("1234,5", "1234.50"),
            ("dez", "1234.56"),
        ] {
            let error = Money::parse(text).unwrap_err();
            let expected = Text::of("amount-malformed").with("text", text).with("suggestion", expected);
            assert_eq!(error.text(), expected);
        }
    }

    #[test]
    fn messages_show_reais() {
        for (cents, text) in
            [(1, "R$ 0,01"), (123_456, "R$ 1.234,56"), (15_000, "R$ 150,00"), (MAX_CENTS, "R$ 999.999.999,99")]
        {
            assert_eq!(Money::from_cents(cents).unwrap().format_brl(), text);
        }
    }

    proptest! {
        #[test]
        fn displayed_amount_parses_back(cents in 1..=MAX_CENTS) {
            let money = Money::from_cents(cents).unwrap();
            prop_assert_eq!(Money::parse(&money.to_string()), Ok(money));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            let _ = Money::parse(&text).map_err(|error| error.text());
        }
    }
}
