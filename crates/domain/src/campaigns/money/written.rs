//! An amount as people and ERPs write it: a sign, a currency and a number; and why another text is refused.

use super::numeral::{Numeral, read_scientific};
use super::{Money, MoneyError};
use crate::campaigns::meant::Meant;
use crate::campaigns::quoted::Quoted;
use crate::trim_blanks;

/// Bytes of a text that may be an amount. A program that writes a float with all of its digits needs about fifty.
const MAX_TEXT: usize = 64;
const REAIS: [&str; 4] = ["R$", "r$", "BRL", "brl"];
const MINUS: [&str; 3] = ["-", "\u{2212}", "–"];
/// What accounting systems write after a credit.
const CREDIT: [&str; 2] = ["C", "CR"];
const OTHER_CURRENCIES: [&str; 7] = ["USD", "EUR", "GBP", "ARS", "PYG", "UYU", "CLP"];
/// What may be beside an amount and changes nothing of its meaning.
const BESIDE: [&str; 4] = ["", "reais", "real", "rs"];

pub(super) fn read(text: &str) -> Result<Money, MoneyError> {
    let text = trim_blanks(text);
    if text.is_empty() {
        return Err(MoneyError::Empty);
    }
    if text.len() > MAX_TEXT {
        return Err(MoneyError::Malformed { text: Quoted::new(text), meant: Meant::from_iter(None) });
    }
    let (is_negative, amount) = split_sign(without_currency(text));
    let amount = without_currency(amount);
    match Numeral::read(amount) {
        // Spreadsheets write zero as `R$ -`.
        None if is_negative && amount.is_empty() => Err(MoneyError::NotPositive),
        None => Err(refusal(text, amount, is_negative)),
        Some(number) if is_negative && !number.is_zero() => Err(MoneyError::Credit { text: Quoted::new(text) }),
        Some(number) => read_number(&number, text),
    }
}

fn without_currency(text: &str) -> &str {
    // `AR$` is another currency.
    let before = |name: &str| text.strip_suffix(name).filter(|rest| !rest.ends_with(char::is_alphabetic));
    let without = REAIS.iter().find_map(|name| text.strip_prefix(name).or_else(|| before(name)));
    without.map_or(text, trim_blanks)
}

/// Whether an amount is negative, and the amount without its sign.
fn split_sign(amount: &str) -> (bool, &str) {
    let before = MINUS.iter().find_map(|sign| amount.strip_prefix(sign));
    let after = || MINUS.iter().chain(&CREDIT).find_map(|sign| amount.strip_suffix(sign));
    let around = || amount.strip_prefix('(')?.strip_suffix(')');
    let unsigned = before.or_else(after).or_else(around);
    let positive = || amount.strip_prefix('+').unwrap_or(amount);
    (unsigned.is_some(), trim_blanks(unsigned.unwrap_or_else(positive)))
}

fn read_number(number: &Numeral, text: &str) -> Result<Money, MoneyError> {
    let (whole, decimals) = (&*number.whole, &*number.decimals);
    if !number.is_ambiguous {
        return exact(whole, decimals, text);
    }
    Err(MoneyError::Ambiguous {
        text: Quoted::new(text),
        thousands: exact(&format!("{whole}{decimals}"), "", text)?,
        decimals: exact(whole, decimals, text).ok().into_iter().collect(),
    })
}

/// The amount of these digits; a further digit after the centavos is refused, not rounded.
fn exact(whole: &str, decimals: &str, text: &str) -> Result<Money, MoneyError> {
    let (whole, decimals) = (whole.trim_start_matches('0'), decimals.trim_end_matches('0'));
    if whole.len() > 9 {
        return Err(MoneyError::TooLarge);
    }
    let (centavos, rest) = decimals.split_at(decimals.len().min(2));
    let cents: i64 = format!("{whole}{centavos:0<2}").parse().map_err(|_| MoneyError::TooLarge)?;
    if rest.is_empty() {
        return Money::from_cents(cents);
    }
    let nearest = Money::from_cents(cents + i64::from(rest.starts_with(|digit| digit >= '5')));
    let (text, meant) = (Quoted::new(text), nearest.ok().into_iter().collect());
    let is_noise = rest.starts_with("000") || rest.starts_with("999");
    Err(if is_noise { MoneyError::FloatNoise { text, meant } } else { MoneyError::TooManyDecimals { text, meant } })
}

/// Why a text without a number in a known form is refused.
fn refusal(text: &str, amount: &str, is_negative: bool) -> MoneyError {
    let quoted = Quoted::new(text);
    let meant = |number: Option<Numeral>| {
        let money = number.and_then(|number| read_number(&number, text).ok());
        money.filter(|_| !is_negative).into_iter().collect()
    };
    if amount.contains('%') {
        MoneyError::Percent { text: quoted }
    } else if let Some(number) = read_scientific(amount) {
        MoneyError::Scientific { text: quoted, meant: meant(number) }
    } else if is_other_currency(amount) {
        MoneyError::OtherCurrency { text: quoted }
    } else {
        MoneyError::Malformed { text: quoted, meant: meant(probable(amount)) }
    }
}

fn is_other_currency(amount: &str) -> bool {
    let is_sign = |other| matches!(other, '$' | '£' | '¥' | '\u{20a0}'..='\u{20cf}');
    let upper = amount.to_ascii_uppercase();
    amount.contains(is_sign) || OTHER_CURRENCIES.iter().any(|name| upper.contains(name))
}

/// The number between words that change nothing of its meaning; also where one mark is used for thousands and decimals.
fn probable(amount: &str) -> Option<Numeral> {
    let is_digit = |other: char| other.is_ascii_digit();
    let (start, end) = (amount.find(is_digit)?, amount.rfind(is_digit)? + 1);
    let beside = format!("{}{}", &amount[..start], &amount[end..]).to_lowercase();
    let is_mark = |other: char| other.is_whitespace() || matches!(other, '.' | ',' | ':' | '=' | '"' | '\'');
    if !BESIDE.contains(&beside.trim_matches(is_mark)) {
        return None;
    }
    match amount[start..end].rsplit_once(['.', ',']) {
        Some((whole, decimals)) => {
            ['.', ','].iter().find_map(|mark| Numeral::read(&format!("{whole}{mark}{decimals}")))
        }
        None => Numeral::read(&amount[start..end]),
    }
}
