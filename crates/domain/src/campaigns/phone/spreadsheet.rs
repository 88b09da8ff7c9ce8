//! Numbers that a spreadsheet or a program has handled as decimals.

use super::PhoneError;
use super::written::read_one;

/// Refuses `1,19889e+10`; the number is known only where the digits before the exponent are all of its digits.
pub(super) fn refuse_exponent(text: &str) -> Result<(), PhoneError> {
    let Some((mantissa, exponent)) = text.split_once('e') else { return Ok(()) };
    let digits = mantissa.trim_start_matches(['+', '-']).replacen(['.', ','], "", 1);
    let exponent = exponent.trim_start_matches(['+', '-']);
    if !is_digits(&digits) || !is_digits(exponent) {
        return Ok(());
    }
    let is_whole = exponent.parse().is_ok_and(|exponent: usize| exponent.checked_add(1) == Some(digits.len()));
    match read_one(&digits).ok().filter(|_| is_whole) {
        Some(reading) => Err(PhoneError::WholeScientific { meant: reading.value.into() }),
        None => Err(PhoneError::Scientific),
    }
}

/// The text without decimals that are zeros; none without decimals. Other decimals are refused.
///
/// Dots and commas group digits too. They precede decimals after digits alone, and before one or two zeros at the end
/// where no other such mark is in the text.
pub(super) fn without_decimals(text: &str) -> Result<Option<&str>, PhoneError> {
    let Some((integer, decimals)) = text.rsplit_once(['.', ',']) else { return Ok(None) };
    let whole = integer.trim_start_matches(['+', '-']);
    let (is_column, is_zero) = (is_digits(whole), decimals.bytes().all(|byte| byte == b'0'));
    if !is_digits(decimals) {
        return Ok(None);
    }
    if is_zero {
        let mark = text.get(integer.len()..=integer.len()).unwrap_or_default();
        let are_decimals = is_column || (decimals.len() <= 2 && !integer.contains(mark));
        return Ok(are_decimals.then_some(integer));
    }
    // `1198888.7777`, `11.988887777`, and two numbers
    let are_grouped = decimals.len() == 4 || decimals.len() >= 8;
    if is_column && !are_grouped { Err(PhoneError::Decimal) } else { Ok(None) }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
