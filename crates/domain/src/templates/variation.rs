//! Chooses a contact's variation: evenly distributed, and the same for every attempt.

use crate::stable_hash::stable_hash;

/// The number of the variation, 1 to `count`, for the contact that `key` identifies (by its id, or by batch and
/// external id). The choice is a hash of the key, so a replay or a retry has the same text.
pub fn choose_variation(key: &[u8], count: u8) -> u8 {
    let chosen = stable_hash("variation", &[key]) % u64::from(count.max(1));
    u8::try_from(chosen).unwrap_or_default() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variation_is_used_about_equally() {
        for count in 1..=5_u8 {
            let mut seen = [0_u32; 5];
            for key in 0..10_000_u32 {
                seen[usize::from(choose_variation(&key.to_be_bytes(), count)) - 1] += 1;
            }
            let expected = 10_000.0 / f64::from(count);
            let chi_square: f64 =
                seen[..usize::from(count)].iter().map(|seen| (f64::from(*seen) - expected).powi(2) / expected).sum();
            // 18.5 is the 99.9 % quantile for four degrees of freedom.
            assert!(chi_square < 18.5, "{count} variations: {seen:?}");
        }
    }

    #[test]
    fn choice_is_the_same_in_every_release() {
        let chosen: Vec<u8> =
            ["a", "b", "NF-123", "NF-124", ""].map(|key| choose_variation(key.as_bytes(), 5)).to_vec();
        assert_eq!(chosen, [2, 3, 4, 3, 2]);
    }

    #[test]
    fn zero_variations_choose_the_first() {
        assert_eq!(choose_variation(b"x", 0), 1);
    }
}
