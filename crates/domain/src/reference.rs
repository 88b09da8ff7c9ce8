//! The short reference that stands in a message ("Ref. 7K3F9Q"): a person can quote it, and the reconciler finds by it
//! whether an attempt of unknown outcome left.

use std::fmt;
use std::str::FromStr;

use crate::stable_hash::stable_hash;
use crate::{ContactId, Language};

/// Crockford's base 32: no I, L, O or U, so that nothing is misread over the phone.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: u32 = 6;
const BITS: u32 = 5 * LENGTH;

/// Six characters, 30 bits. Two contacts may share one by chance (one in a thousand million), so it is looked for
/// together with the recipient's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    bits: u32,
}

impl Reference {
    /// From the lowest 30 bits.
    pub fn from_bits(bits: u64) -> Self {
        Self { bits: u32::try_from(bits & ((1 << BITS) - 1)).unwrap_or_default() }
    }

    /// The reference of a contact: always the same one.
    pub fn for_contact(contact: ContactId) -> Self {
        Self::from_bits(stable_hash("reference", &[contact.0.as_bytes()]))
    }

    /// Reads six characters in either case; `O` is read as `0`, `I` and `L` as `1`.
    ///
    /// # Errors
    /// [`ReferenceError`] where it is not six characters of the alphabet.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.len() != LENGTH as usize {
            return Err(ReferenceError);
        }
        let bits = text.bytes().try_fold(0, |bits, byte| Some(bits << 5 | digit(byte)?));
        bits.map(|bits| Self { bits }).ok_or(ReferenceError)
    }
}

fn digit(byte: u8) -> Option<u32> {
    let canonical = match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    let position = ALPHABET.iter().position(|known| *known == canonical)?;
    u32::try_from(position).ok()
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..LENGTH).rev().try_for_each(|place| {
            let index = (self.bits >> (5 * place)) & 31;
            write!(f, "{}", char::from(ALPHABET[index as usize]))
        })
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The text is no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reference has six characters, digits and letters without I, L, O and U, such as 7K3F9Q")]
pub struct ReferenceError;

impl ReferenceError {
    /// Stable name in problem documents.
    pub fn code(&self) -> &'static str {
        "reference_invalid"
    }

    /// What is expected.
    pub fn explain(&self, language: Language) -> String {
        let text = language.pick(
            "A referência tem seis caracteres, dígitos e letras sem I, L, O e U, como 7K3F9Q.",
            "A reference has six characters, digits and letters without I, L, O and U, such as 7K3F9Q.",
        );
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_a_person_misreads_is_read_right() {
        for (text, expected) in [("7k3f9q", "7K3F9Q"), ("OIL000", "011000"), ("ZZZZZZ", "ZZZZZZ"), ("000000", "000000")]
        {
            assert_eq!(Reference::parse(text).map(|reference| reference.to_string()), Ok(expected.to_owned()));
        }
        for text in ["", "7K3F9", "7K3F9QQ", "7K3F9U", "7K3 9Q", "é1234"] {
            assert_eq!(Reference::parse(text), Err(ReferenceError), "{text}");
        }
    }

    #[test]
    fn a_contact_keeps_its_reference_over_releases() {
        let contact = ContactId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
        assert_eq!(Reference::for_contact(contact).to_string(), "Z6DP52");
    }

    proptest! {
        #[test]
        fn every_reference_reads_back(bits: u64) {
            let reference = Reference::from_bits(bits);
            prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
        }
    }
}
