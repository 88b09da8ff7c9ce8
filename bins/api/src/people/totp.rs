//! The second factor: codes of thirty seconds (RFC 6238), each good for once, and recovery codes for a lost telephone.

use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret, Totp};

/// Bytes of a seed: what RFC 4226 recommends.
const SEED_BYTES: usize = 20;
const RECOVERY_CODES: usize = 10;
/// Nothing that could be taken for another when it is read out.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The seed of one person's codes. Debug shows nothing of it.
pub(crate) struct SecondFactor(Secret);

impl SecondFactor {
    /// A new seed; none where the system has no random numbers.
    pub(crate) fn generate() -> Option<Self> {
        let mut seed = [0; SEED_BYTES];
        SystemRandom::new().fill(&mut seed).ok()?;
        Some(Self(Secret::from(seed)))
    }

    /// A seed as [`Self::seed`] writes it.
    pub(crate) fn parse(seed: &str) -> Option<Self> {
        Secret::try_from_base32(seed).ok().map(Self)
    }

    /// In base32, as authenticator apps take it.
    pub(crate) fn seed(&self) -> String {
        self.0.to_base32()
    }

    /// What an authenticator app reads from a QR code.
    pub(crate) fn url(&self, email: &str) -> Option<String> {
        self.codes(email)?.to_url().ok()
    }

    /// The step that a code belongs to, where it is one of now, of the step before or of the one after.
    pub(crate) fn step_of(&self, code: &str, now: i64) -> Option<i64> {
        let is_code = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
        let step = self.codes("-").filter(|_| is_code)?.check(code, u64::try_from(now).ok()?)?;
        i64::try_from(step).ok()
    }

    fn codes(&self, email: &str) -> Option<Totp> {
        let builder = Builder::new().with_secret(self.0.clone()).with_account_name(email).with_issuer(Some("Regua"));
        builder.build().ok()
    }
}

/// Codes that stand in for a lost telephone, shown once.
pub(crate) struct RecoveryCodes {
    /// For their owner.
    pub(crate) texts: Vec<String>,
    /// SHA-256 of each. They are random, so that nothing slower is needed.
    pub(crate) hashes: Vec<Vec<u8>>,
}

impl RecoveryCodes {
    /// New ones; none where the system has no random numbers.
    pub(crate) fn generate() -> Option<Self> {
        let mut random = [[0; 12]; RECOVERY_CODES];
        random.iter_mut().try_for_each(|bytes| SystemRandom::new().fill(bytes)).ok()?;
        let text = |bytes: &[u8; 12]| -> String {
            bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
        };
        let texts: Vec<_> = random.iter().map(text).collect();
        let hashes = texts.iter().map(|text| Self::hash(text)).collect();
        Some(Self { texts, hashes })
    }

    /// As it is kept, however it was typed.
    pub(crate) fn hash(typed: &str) -> Vec<u8> {
        let folded: String = typed.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
        Sha256::digest(folded.as_bytes()).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, cut to six digits.
        let factor = SecondFactor(Secret::from(*b"12345678901234567890"));
        for (instant, code) in [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924")] {
            assert_eq!(factor.step_of(code, instant), Some(instant / 30));
            assert_eq!(factor.step_of(code, instant + 30), Some(instant / 30), "a slow hand");
            assert_eq!(factor.step_of(code, instant + 90), None, "too slow");
        }
        for odd in ["", "28708", "2870822", "28708a", "２８７０８２"] {
            assert_eq!(factor.step_of(odd, 59), None, "{odd:?}");
        }
    }

    #[test]
    fn a_seed_is_read_back_and_never_the_same() {
        let factor = SecondFactor::generate().unwrap();
        assert_eq!(SecondFactor::parse(&factor.seed()).unwrap().seed(), factor.seed());
        assert_ne!(factor.seed(), SecondFactor::generate().unwrap().seed());
        let url = factor.url("maria@acme.example").unwrap();
        assert!(url.starts_with("otpauth://totp/Regua:maria") && url.contains(&factor.seed()), "{url}");
    }

    #[test]
    fn a_recovery_code_is_read_as_people_type_it() {
        let codes = RecoveryCodes::generate().unwrap();
        assert_eq!((codes.texts.len(), codes.texts[0].len()), (RECOVERY_CODES, 12));
        let typed = format!(" {}-{} ", codes.texts[0][..6].to_uppercase(), &codes.texts[0][6..]);
        assert_eq!(RecoveryCodes::hash(&typed), codes.hashes[0]);
        assert_ne!(codes.hashes[0], codes.hashes[1]);
    }
}
