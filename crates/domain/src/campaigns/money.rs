//! Amounts in Brazilian reais, in centavos, so that no amount is rounded. `written` reads them, `numeral` their digits
//! and marks.

mod numeral;
mod written;

use std::fmt;

use super::meant::Meant;
use super::quoted::Quoted;
use crate::{Reading, Text};

/// An amount in Brazilian reais, above zero and at most R$ 999.999.999,99.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Money {
    cents: i64,
}

const MAX_CENTS: i64 = 99_999_999_999;

impl Money {
    /// Reads an amount as people and ERPs write it, and as it is in JSON: `150`, `150.1`, `150.0000`, `1.234,56`,
    /// `1,234.56`, `1 234,56`, `R$ 1.234,56`. Its digits are exact. `1.234` is refused, because it is one amount with a
    /// mark of thousands and another with a decimal mark. No amount has a warning.
    pub fn read(text: &str) -> Result<Reading<Self>, MoneyError> {
        written::read(text).map(Reading::certain)
    }

    /// [`read`](Self::read) without the warnings.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        written::read(text)
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

input_error! {
    /// Why a text is not an amount.
    pub enum MoneyError {
        Empty = "amount_empty", "the amount is empty";
        Malformed { text: Quoted, meant: Meant<Money> } = "amount_malformed", "the amount is not in a known form",
            with_text remedy = meant.text_or(Text::of("amount-form"));
        Ambiguous { text: Quoted, thousands: Money, decimals: Meant<Money> } = "amount_ambiguous",
            "the mark in the amount may be of thousands or of decimals",
            with_text remedy = both_readings(*thousands, decimals);
        TooManyDecimals { text: Quoted, meant: Meant<Money> } = "amount_too_many_decimals",
            "the amount has more than two decimals",
            with_text remedy = meant.text_or(Text::of("amount-form"));
        FloatNoise { text: Quoted, meant: Meant<Money> } = "amount_float_noise",
            "the amount has the decimals that remain when a program computes with floats",
            with_text remedy = meant.text_or(Text::of("amount-form"));
        Scientific { text: Quoted, meant: Meant<Money> } = "amount_scientific",
            "the amount is in scientific notation",
            with_text remedy = meant.text_or(Text::of("amount-form"));
        Credit { text: Quoted } = "amount_credit", "the amount is negative: a credit";
        NotPositive = "amount_not_positive", "the amount must be above zero";
        Percent { text: Quoted } = "amount_percent", "the amount is a percentage",
            with_text remedy = Text::of("amount-form");
        OtherCurrency { text: Quoted } = "amount_other_currency", "the amount is not in reais",
            with_text remedy = Text::of("amount-form");
        TooLarge = "amount_too_large", "the amount is above 999999999.99";
    }
}

fn both_readings(thousands: Money, decimals: &Meant<Money>) -> Text {
    match decimals.values() {
        [] => Text::of("amount-thousands-or-third-decimal").with("thousands", thousands),
        [decimals, ..] => {
            Text::of("amount-thousands-or-decimals").with("thousands", thousands).with("decimals", decimals)
        }
    }
}

#[cfg(test)]
mod tests;
