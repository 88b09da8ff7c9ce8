//! Credentials: API keys, passwords, second factors and session secrets, each generated, parsed and compared. Nothing
//! here reads the database.

pub(crate) mod cache;
pub(crate) mod device;
pub(crate) mod good_sessions;
pub mod keys;
pub(crate) mod password;
pub(crate) mod token;
pub(crate) mod totp;

use ring::rand::{SecureRandom, SystemRandom};

/// Letters and digits without those that are mistaken for each other when read aloud.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Random bytes of the operating system.
pub(crate) fn random_bytes<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow::anyhow!("the operating system has no random bytes"))?;
    Ok(bytes)
}

/// One letter of the alphabet for each byte.
fn readable(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}
