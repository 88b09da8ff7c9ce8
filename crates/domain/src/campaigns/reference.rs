//! The short reference in a message ("Ref. 7K3F9Q"). People quote it, and a look for an unknown attempt searches it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::stable_hash::stable_hash;
use crate::{TenantId, Text};

/// Crockford's base 32, without I, L, O and U, which are misread.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: u32 = 6;
const BITS: u32 = 5 * LENGTH;

/// Six characters, 30 bits. The references of a tenant repeat, in the same order, after 2^30 messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    bits: u32,
}

impl Reference {
    /// The reference of the lowest 30 bits.
    pub fn from_bits(bits: u64) -> Self {
        Self { bits: u32::try_from(bits & ((1 << BITS) - 1)).unwrap_or_default() }
    }

    /// The reference of a tenant's `n`th message. It does not show how many messages the tenant sends.
    pub fn nth(tenant: TenantId, n: u64) -> Self {
        const MASK: u64 = (1 << BITS) - 1;
        // Each step is a bijection of 30 bits (addition, multiplication by an odd number, xor of upper bits into lower
        // ones).
        let mut bits = n.wrapping_add(stable_hash("reference", &[tenant.0.as_bytes()])) & MASK;
        for (factor, fold) in [(0x2545_F491, 15), (0x1B87_3593, 13), (0x2C1B_3C6D, 17)] {
            bits = bits.wrapping_mul(factor) & MASK;
            bits ^= bits >> fold;
        }
        Self::from_bits(bits)
    }

    /// Whether a text contains the reference.
    pub fn appears_in(self, text: &str) -> bool {
        text.contains(&self.to_string())
    }

    /// Every six consecutive characters of the alphabet in a text. The caller looks them up; most are not references.
    pub fn candidates(text: &str) -> BTreeSet<Self> {
        let windows = text.as_bytes().windows(LENGTH as usize);
        windows.filter(|window| window.iter().all(|byte| ALPHABET.contains(byte))).filter_map(Self::of_bytes).collect()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let bits = bytes.iter().try_fold(0, |bits, byte| Some(bits << 5 | digit(*byte)?))?;
        Some(Self { bits })
    }

    /// Reads six characters in either case; `O` is read as `0`, `I` and `L` as `1`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.len() != LENGTH as usize {
            return Err(ReferenceError);
        }
        Self::of_bytes(text.as_bytes()).ok_or(ReferenceError)
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

/// The text is not a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reference has six characters, digits and letters without I, L, O and U, such as 7K3F9Q")]
pub struct ReferenceError;

impl ReferenceError {
    /// Stable name in problem documents.
    pub fn code(&self) -> &'static str {
        "reference_invalid"
    }

    /// The expected form, for people.
    pub fn text(&self) -> Text {
        Text::of_code(self.code())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn misread_characters_are_accepted() {
        for (text, expected) in [("7k3f9q", "7K3F9Q"), ("OIL000", "011000"), ("ZZZZZZ", "ZZZZZZ"), ("000000", "000000")]
        {
            assert_eq!(Reference::parse(text).map(|reference| reference.to_string()), Ok(expected.to_owned()));
        }
        for text in ["", "7K3F9", "7K3F9QQ", "7K3F9U", "7K3 9Q", "é1234"] {
            assert_eq!(Reference::parse(text), Err(ReferenceError), "{text}");
        }
    }

    fn tenant(n: u128) -> TenantId {
        TenantId(Uuid::from_u128(n))
    }

    #[test]
    fn reference_of_a_message_is_the_same_in_every_release() {
        assert_eq!(Reference::nth(tenant(7), 0).to_string(), "A5PJ78");
    }

    #[test]
    fn million_messages_have_different_references() {
        let references: std::collections::HashSet<_> = (0..1 << 20).map(|n| Reference::nth(tenant(7), n)).collect();
        assert_eq!(references.len(), 1 << 20);
        assert_ne!(Reference::nth(tenant(7), 0), Reference::nth(tenant(8), 0));
    }

    #[test]
    fn reference_is_found_anywhere_in_a_text() {
        let reference = Reference::parse("7K3F9Q").unwrap();
        for text in ["Ref. 7K3F9Q", "7K3F9Q", "(REF7K3F9Q)", "Olá, 7K3F9Q\nação"] {
            assert!(reference.appears_in(text) && Reference::candidates(text).contains(&reference), "{text}");
        }
        assert!(Reference::candidates("ref. 7k3f9q, ÇÃO, 7K3F9").is_empty());
    }

    proptest! {
        #[test]
        fn different_messages_have_different_references(tenant_bits: u128, a in 0_u64..1 << 30, b in 0_u64..1 << 30) {
            let (a_s, b_s) = (Reference::nth(tenant(tenant_bits), a), Reference::nth(tenant(tenant_bits), b));
            prop_assert_eq!(a == b, a_s == b_s);
        }

        #[test]
        fn every_reference_parses_back(bits: u64) {
            let reference = Reference::from_bits(bits);
            prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
        }
    }
}
