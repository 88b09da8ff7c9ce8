//! Cheap ids: SplitMix64 over one counter. Equal seeds yield equal ids.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::{Builder, Uuid};

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

pub(crate) struct Ids {
    counter: AtomicU64,
}

impl Ids {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { counter: AtomicU64::new(mix(seed)) }
    }

    /// A UUID of version 4, as for rows and for messages of the EVOLUTION channel.
    pub(crate) fn uuid(&self) -> Uuid {
        let bits = (u128::from(self.next()) << 64) | u128::from(self.next());
        Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }

    /// A message id of Baileys: `3EB0` and 18 hexadecimal digits.
    pub(crate) fn message_id(&self) -> String {
        format!("3EB0{:016X}{:02X}", self.next(), self.next() & 0xFF)
    }

    fn next(&self) -> u64 {
        mix(self.counter.fetch_add(STEP, Ordering::Relaxed))
    }
}

/// SplitMix64's finaliser, which spreads neighbouring numbers over the whole range.
pub(crate) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(STEP);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_have_evolutions_form() {
        let ids = Ids::seeded(7);
        let made: HashSet<String> = (0..10_000).map(|_| ids.message_id()).collect();
        assert_eq!(made.len(), 10_000);
        assert!(made.iter().all(|id| id.len() == 22 && id.starts_with("3EB0")));
        assert_eq!(ids.uuid().get_version_num(), 4);
    }

    #[test]
    fn equal_seeds_yield_equal_ids() {
        assert_eq!(Ids::seeded(7).message_id(), Ids::seeded(7).message_id());
        assert_ne!(Ids::seeded(7).message_id(), Ids::seeded(8).message_id());
    }
}
