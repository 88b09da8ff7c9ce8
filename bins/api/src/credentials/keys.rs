//! API keys as text: generated, parsed and compared. A key is `regua_<lookup prefix>_<secret>`: the prefix finds the
//! row and is not secret, the secret is 32 random bytes. The database has the hash of the secret only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The header with the key.
pub(crate) const API_KEY_HEADER: &str = "X-Billing-API-Key";
const SCHEME: &str = "regua_";
const PREFIX_LENGTH: usize = 8;
const SECRET_BYTES: usize = 32;
/// 32 bytes in base64url without padding.
const SECRET_LENGTH: usize = 43;
/// Random bytes from which a key is generated.
pub const RANDOM_BYTES: usize = PREFIX_LENGTH + SECRET_BYTES;

/// A new key. `text` is shown once; the other fields are stored.
pub struct GeneratedKey {
    /// The whole key, for its owner.
    pub text: String,
    /// The part that finds the row.
    pub lookup_prefix: String,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
}

/// Generates a key from the bytes of a cryptographic random source.
pub fn generate(random: &[u8; RANDOM_BYTES]) -> GeneratedKey {
    let (for_prefix, for_secret) = random.split_at(PREFIX_LENGTH);
    let (lookup_prefix, secret) = (super::readable(for_prefix), URL_SAFE_NO_PAD.encode(for_secret));
    GeneratedKey { text: format!("{SCHEME}{lookup_prefix}_{secret}"), secret_hash: hash(&secret), lookup_prefix }
}

/// The secret of a webhook or an invitation, and its SHA-256, from the bytes of a cryptographic random source.
pub fn secret_with_hash(random: &[u8; SECRET_BYTES]) -> (String, [u8; 32]) {
    let secret = URL_SAFE_NO_PAD.encode(random);
    let hash = hash(&secret);
    (secret, hash)
}

/// Whether a secret has the stored hash. Without a stored hash the comparison takes the same time and fails, so the
/// time of an answer does not tell what exists.
pub fn has_hash(secret: &str, stored: Option<&[u8]>) -> bool {
    let is_equal = hash(secret).ct_eq(stored.unwrap_or(&[0; 32]));
    bool::from(is_equal) && stored.is_some()
}

/// A well-formed key of a caller. It may not exist.
pub struct ParsedKey<'a> {
    /// The part that finds the row.
    pub lookup_prefix: &'a str,
    secret: &'a str,
}

impl<'a> ParsedKey<'a> {
    /// Splits a key; none when the text is malformed.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (lookup_prefix, secret) = text.strip_prefix(SCHEME)?.split_once('_')?;
        let has_form = lookup_prefix.len() == PREFIX_LENGTH
            && lookup_prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && secret.len() == SECRET_LENGTH
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        has_form.then_some(Self { lookup_prefix, secret })
    }

    /// As [`has_hash`], for the secret of the key.
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
    fn generated_key_is_parsed_and_has_its_own_hash_only() {
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
    fn malformed_key_is_not_parsed() {
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
