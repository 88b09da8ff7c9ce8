//! The numbers that a refused text probably means.

use std::fmt;

use super::PhoneNumber;

/// One number, or several where a text has several readings. Display is for the person who sent the text; Debug hides
/// the middle of each number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeantNumbers(Vec<PhoneNumber>);

impl MeantNumbers {
    /// The different ones, in their order; none without a number.
    pub(super) fn of(candidates: impl IntoIterator<Item = PhoneNumber>) -> Option<Self> {
        let mut numbers = Vec::new();
        for candidate in candidates {
            if !numbers.contains(&candidate) {
                numbers.push(candidate);
            }
        }
        (!numbers.is_empty()).then_some(Self(numbers))
    }
}

impl From<PhoneNumber> for MeantNumbers {
    fn from(number: PhoneNumber) -> Self {
        Self(vec![number])
    }
}

/// `(11) 98888-7777 / (11) 3222-1111`: each is accepted when it is sent alone.
impl fmt::Display for MeantNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(PhoneNumber::national).collect();
        f.write_str(&numbers.join(" / "))
    }
}
