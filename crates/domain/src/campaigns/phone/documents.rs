//! Refuses the numbers of documents: a CPF in its mask, and a CNPJ.

use super::PhoneError;

pub(super) fn refuse(text: &str) -> Result<(), PhoneError> {
    let groups: Vec<_> = text.split(|other: char| !other.is_ascii_digit()).filter(|group| !group.is_empty()).collect();
    let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
    match (lengths.as_slice(), groups.as_slice()) {
        _ if text.contains('+') => Ok(()),
        ([3, 3, 3, 2], _) => Err(PhoneError::Cpf),
        ([2, 3, 3, 4, 2], _) => Err(PhoneError::Cnpj),
        (_, [digits]) if is_cnpj(digits) => Err(PhoneError::Cnpj),
        _ => Ok(()),
    }
}

/// Whether the check digits are right. A spreadsheet drops leading zeros; such a CNPJ is recognised as the first branch
/// (0001), so that one phone number of a million looks alike.
fn is_cnpj(digits: &str) -> bool {
    let whole = format!("{digits:0>14}");
    let is_first_branch = whole.get(8..12) == Some("0001");
    let has_length = digits.len() == 14 || (matches!(digits.len(), 11..=13) && is_first_branch);
    has_length && [12, 13].into_iter().all(|at| check_digit(&whole, at) == whole.as_bytes().get(at).copied())
}

/// Weights 2 to 9 from the right, modulo 11.
fn check_digit(cnpj: &str, at: usize) -> Option<u8> {
    let weighted = cnpj.bytes().take(at).collect::<Vec<_>>().into_iter().rev().zip((2..=9_u32).cycle());
    let sum: u32 = weighted.map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    let digit = if sum % 11 < 2 { 0 } else { 11 - sum % 11 };
    u8::try_from(digit).ok().map(|digit| b'0' + digit)
}
