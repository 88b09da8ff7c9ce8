//! The second factor: codes of thirty seconds (RFC 6238) and recovery codes for a lost telephone, each accepted once.

use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret, Totp};

use super::{random_bytes, readable};

/// Bytes of a seed, as RFC 4226 recommends.
const SEED_BYTES: usize = 20;
const RECOVERY_CODES: usize = 10;

/// The seed of a user's codes.
pub(crate) struct SecondFactor(Secret);

impl SecondFactor {
    pub(crate) fn generate() -> anyhow::Result<Self> {
        Ok(Self(Secret::from(random_bytes::<SEED_BYTES>()?)))
    }

    /// Reads a seed that [`Self::seed`] has written.
    pub(crate) fn parse(seed: &str) -> Option<Self> {
        Secret::try_from_base32(seed).ok().map(Self)
    }

    /// The seed in base32, as authenticator apps read it.
    pub(crate) fn seed(&self) -> String {
        self.0.to_base32()
    }

    /// The URL of the QR code for authenticator apps.
    pub(crate) fn url(&self, email: &str) -> Option<String> {
        self.codes(email)?.to_url().ok()
    }

    /// The time step of a code, if that is the present step, the one before or the one after.
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

/// Codes that replace a lost telephone.
pub(crate) struct RecoveryCodes {
    /// The codes, shown to their owner once.
    pub(crate) texts: Vec<String>,
    /// SHA-256 of each code. The codes are random, so a slow hash is not needed.
    pub(crate) hashes: Vec<Vec<u8>>,
}

impl RecoveryCodes {
    pub(crate) fn generate() -> anyhow::Result<Self> {
        let random = random_bytes::<{ 12 * RECOVERY_CODES }>()?;
        let texts: Vec<_> = random.chunks(12).map(readable).collect();
        let hashes = texts.iter().map(|text| Self::hash(text)).collect();
        Ok(Self { texts, hashes })
    }

    /// The hash of a code; capitals, spaces and hyphens do not count.
    pub(crate) fn hash(typed: &str) -> Vec<u8> {
        let folded: String = typed.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
        Sha256::digest(folded.as_bytes()).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_equal_those_of_the_rfc() {
        // RFC 6238, appendix B, cut to six digits.
        let factor = SecondFactor(Secret::from(*b"12345678901234567890"));
        for (instant, code) in [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924")] {
            assert_eq!(factor.step_of(code, instant), Some(instant / 30));
            assert_eq!(factor.step_of(code, instant + 30), Some(instant / 30), "one step late");
            assert_eq!(factor.step_of(code, instant + 90), None, "three steps late");
        }
        for odd in ["", "28708", "2870822", "28708a", "２８７０８２"] {
            assert_eq!(factor.step_of(odd, 59), None, "{odd:?}");
        }
    }

    #[test]
    fn seed_is_read_back_and_each_is_new() {
        let factor = SecondFactor::generate().unwrap();
        assert_eq!(SecondFactor::parse(&factor.seed()).unwrap().seed(), factor.seed());
        assert_ne!(factor.seed(), SecondFactor::generate().unwrap().seed());
        let url = factor.url("maria@acme.example").unwrap();
        assert!(url.starts_with("otpauth://totp/Regua:maria") && url.contains(&factor.seed()), "{url}");
    }

    #[test]
    fn recovery_code_is_accepted_with_capitals_and_hyphens() {
        let codes = RecoveryCodes::generate().unwrap();
        assert_eq!((codes.texts.len(), codes.texts[0].len()), (RECOVERY_CODES, 12));
        let typed = format!(" {}-{} ", codes.texts[0][..6].to_uppercase(), &codes.texts[0][6..]);
        assert_eq!(RecoveryCodes::hash(&typed), codes.hashes[0]);
        assert_ne!(codes.hashes[0], codes.hashes[1]);
    }
}
