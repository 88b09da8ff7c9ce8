//! Passwords, hashed by Argon2id. Only a few are hashed at once: by design each takes 19 MiB and a core for some time.
//! A caller needs a permit of the budget of password checks, which bounds how many wait.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use regua_domain::Text;
use tokio::sync::Semaphore;

use super::random_bytes;
use crate::limits::Permit;

/// Characters of a password.
const MIN_LENGTH: usize = 12;
const MAX_LENGTH: usize = 128;

/// The hash that the password of an unknown user is compared with, so that the answer takes the same time. It has the
/// parameters of a real one.
const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$Xgyh7PkoLmRxb8USk6Ptb1OVEn7wrYyK5wYGPTZCCFY";

/// Hashes and compares passwords, a limited number at once.
#[derive(Clone)]
pub(crate) struct Passwords(Arc<Semaphore>);

impl Passwords {
    /// One at a time for each core but one.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))))
    }

    /// The hash in the PHC format, with a new salt.
    pub(crate) async fn hash(&self, _permit: &Permit, password: String) -> anyhow::Result<String> {
        let salt = random_bytes::<16>()?;
        self.off_thread(move || {
            let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
            hash.map(|hash: PasswordHash| hash.to_string())
        })
        .await?
        .map_err(|error| anyhow::anyhow!("a password could not be hashed: {error}"))
    }

    /// Whether the password has the hash. Without a hash the comparison takes the same time and fails.
    pub(crate) async fn verify(
        &self,
        _permit: &Permit,
        password: String,
        hash: Option<String>,
    ) -> anyhow::Result<bool> {
        self.off_thread(move || {
            let Ok(parsed) = PasswordHash::new(hash.as_deref().unwrap_or(DUMMY_HASH)) else { return false };
            Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && hash.is_some()
        })
        .await
    }

    async fn off_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
        let permit = Arc::clone(&self.0).acquire_owned().await?;
        // The work goes on after its caller has disconnected, so it holds the permit itself.
        let work = move || {
            let _permit = permit;
            work()
        };
        Ok(tokio::task::spawn_blocking(work).await?)
    }
}

/// Why a password is refused, if it is: a code and its text.
pub(crate) fn fault(password: &str, email: &str) -> Option<(&'static str, Text)> {
    let length = password.chars().count();
    if length < MIN_LENGTH {
        return Some(("too_short", Text::of("password-too-short")));
    }
    if length > MAX_LENGTH {
        return Some(("too_long", Text::of("password-too-long")));
    }
    let folded = password.to_lowercase();
    let name = email.split('@').next().unwrap_or_default();
    let has_name = name.len() > 3 && folded.contains(name);
    let mut letters: Vec<char> = folded.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    if has_name || letters.len() < 5 || COMMON.iter().any(|common| folded.contains(common)) {
        return Some(("too_easy", Text::of("password-too-easy")));
    }
    None
}

/// Parts of the most frequent passwords of twelve characters and more, in Brazil and elsewhere.
const COMMON: [&str; 12] = [
    "123456",
    "abcdef",
    "qwerty",
    "asdfgh",
    "password",
    "senha123",
    "admin123",
    "mudar123",
    "brasil123",
    "cobranca123",
    "111111",
    "000000",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn password_is_verified_by_its_own_hash_only() {
        let (passwords, permit) = (Passwords::new(), Permit::for_test());
        let hash = passwords.hash(&permit, "correta bateria grampo".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify(&permit, "correta bateria grampo".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(&permit, "correta bateria grampO".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(&permit, "correta bateria grampo".to_owned(), None).await.unwrap());
        assert_ne!(
            hash,
            passwords.hash(&permit, "correta bateria grampo".to_owned()).await.unwrap(),
            "each hash has a new salt"
        );
    }

    #[test]
    fn dummy_hash_is_a_valid_hash() {
        let hash = PasswordHash::new(DUMMY_HASH).unwrap();
        assert_eq!(hash.hash.unwrap().len(), 32, "comparing it takes as long as comparing a real hash");
    }

    #[test]
    fn password_that_is_easy_to_guess_is_refused() {
        let code = |password: &str| fault(password, "maria.silva@acme.example").map(|fault| fault.0);
        assert_eq!(code("curta"), Some("too_short"));
        assert_eq!(code(&"a1b2c3d4".repeat(17)), Some("too_long"));
        for easy in ["maria.silva 2026!", "qwertyuiop-1234", "aaaaaaaaaaaaaa", "ababababababab", "Senha12345678"] {
            assert_eq!(code(easy), Some("too_easy"), "{easy}");
        }
        assert_eq!(code("correta bateria grampo"), None);
    }
}
