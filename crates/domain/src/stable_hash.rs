//! A hash that is the same on every machine and in every release. It replaces random choices, so that a repeated call
//! chooses the same.

use sha2::{Digest, Sha256};

/// 64 evenly distributed bits. `purpose` and the lengths of the parts are hashed too.
pub(crate) fn stable_hash(purpose: &str, parts: &[&[u8]]) -> u64 {
    let mut hasher = Sha256::new();
    for part in [&[purpose.as_bytes()], parts].concat() {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    digest.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

pub(crate) fn stable_fraction(purpose: &str, parts: &[&[u8]]) -> f64 {
    let top = u32::try_from(stable_hash(purpose, parts) >> 32).unwrap_or_default();
    f64::from(top) / (f64::from(u32::MAX) + 1.0)
}
