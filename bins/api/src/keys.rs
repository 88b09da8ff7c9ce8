//! API keys as text: how they are made, and how one is read and compared. The database keeps a hash only.
//!
//! A key is `regua_<lookup prefix>_<secret>`: the prefix finds the row and is no secret, the secret is 32 random bytes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const SCHEME: &str = "regua_";
const PREFIX_LENGTH: usize = 8;
const SECRET_BYTES: usize = 32;
/// 32 bytes in base64url without padding.
const SECRET_LENGTH: usize = 43;
/// So many random bytes make a key.
pub const RANDOM_BYTES: usize = PREFIX_LENGTH + SECRET_BYTES;
/// Nothing that could be taken for another when it is read out.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A new key. `text` is shown once; the rest is stored.
pub struct GeneratedKey {
    /// The whole key, for its owner.
    pub text: String,
    /// What finds the row.
    pub lookup_prefix: String,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
}

/// Makes a key of random bytes, which must come from a source that nobody can guess.
pub fn generate(random: &[u8; RANDOM_BYTES]) -> GeneratedKey {
    let (for_prefix, for_secret) = random.split_at(PREFIX_LENGTH);
    let lookup_prefix: String = for_prefix.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    let secret = URL_SAFE_NO_PAD.encode(for_secret);
    GeneratedKey { text: format!("{SCHEME}{lookup_prefix}_{secret}"), secret_hash: hash(&secret), lookup_prefix }
}

/// The secret that a number's webhooks carry, and its SHA-256. The bytes must come from a source that nobody can guess.
pub fn webhook_secret(random: &[u8; SECRET_BYTES]) -> (String, [u8; 32]) {
    let secret = URL_SAFE_NO_PAD.encode(random);
    let hash = hash(&secret);
    (secret, hash)
}

/// Whether a secret has this hash, in the same time where there is none.
pub fn has_hash(secret: &str, stored: Option<&[u8]>) -> bool {
    let is_equal = hash(secret).ct_eq(stored.unwrap_or(&[0; 32]));
    bool::from(is_equal) && stored.is_some()
}

/// A key as a caller sent it, of the right form; whether it is anybody's is another question.
pub struct ParsedKey<'a> {
    /// What finds the row.
    pub lookup_prefix: &'a str,
    secret: &'a str,
}

impl<'a> ParsedKey<'a> {
    /// Takes a key apart; none where it has not the form of one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (lookup_prefix, secret) = text.strip_prefix(SCHEME)?.split_once('_')?;
        let has_form = lookup_prefix.len() == PREFIX_LENGTH
            && lookup_prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && secret.len() == SECRET_LENGTH
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        has_form.then_some(Self { lookup_prefix, secret })
    }

    /// Whether the secret has this hash. It takes as long where no row was found and there is nothing to compare with, so
    /// that time does not tell which prefixes exist.
    pub fn has_hash(&self, stored: Option<&[u8]>) -> bool {
        has_hash(self.secret, stored)
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_read_back_and_fits_its_own_hash_only() {
        let key = generate(&[7; RANDOM_BYTES]);
        let other = generate(&[8; RANDOM_BYTES]);
        let parsed = ParsedKey::parse(&key.text).unwrap();
        assert_eq!(parsed.lookup_prefix, key.lookup_prefix);
        assert!(parsed.has_hash(Some(&key.secret_hash)));
        assert!(!parsed.has_hash(Some(&other.secret_hash)));
        assert!(!parsed.has_hash(Some(&[])));
        assert!(!parsed.has_hash(None));
    }

    #[test]
    fn what_has_not_the_form_of_a_key_is_none() {
        let good = generate(&[7; RANDOM_BYTES]).text;
        let secret = "a".repeat(43);
        let bad = [
            String::new(),
            "regua_".to_owned(),
            good.replace("regua_", "regra_"),
            good[..good.len() - 1].to_owned(),
            format!("{good}a"),
            format!("{good} "),
            format!("regua_ABCDEFGH_{secret}"),
            format!("regua_abcdefg\0_{secret}"),
            format!("regua_abcdefg_{secret}"),
        ];
        for text in bad {
            assert!(ParsedKey::parse(&text).is_none(), "{text:?}");
        }
    }
}
