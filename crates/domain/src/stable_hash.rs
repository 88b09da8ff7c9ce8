//! One number from some bytes, the same on every machine and in every release: what is spread by chance elsewhere is
//! spread by this, so that a second try comes to the same result.

use sha2::{Digest, Sha256};

/// Evenly spread 64 bits. `purpose` keeps the uses apart; parts are kept apart by their length.
pub(crate) fn stable_hash(purpose: &str, parts: &[&[u8]]) -> u64 {
    let mut hasher = Sha256::new();
    for part in [&[purpose.as_bytes()], parts].concat() {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    digest.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

/// The same as a fraction in `0.0..1.0`.
pub(crate) fn stable_fraction(purpose: &str, parts: &[&[u8]]) -> f64 {
    let top = u32::try_from(stable_hash(purpose, parts) >> 32).unwrap_or_default();
    f64::from(top) / (f64::from(u32::MAX) + 1.0)
}
