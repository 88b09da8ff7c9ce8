//! Passwords: hashed by Argon2id, a few at a time, because each takes 19 MiB and a good part of a core on purpose.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;

use crate::error::Problem;

/// At least so many characters.
pub(crate) const SHORTEST: usize = 12;
/// More than anybody remembers; what is longer only costs time.
pub(crate) const LONGEST: usize = 128;

/// What somebody is checked against who does not exist, so that an answer takes as long. Made with the same parameters.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$Xgyh7PkoLmRxb8USk6Ptb1OVEn7wrYyK5wYGPTZCCFY";

/// Hashes and compares, so many at once.
#[derive(Clone)]
pub(crate) struct Passwords(Arc<Semaphore>);

impl Passwords {
    /// As many at once as there are cores, less one.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))))
    }

    /// The hash in the PHC format, with a new salt.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Problem> {
        let mut salt = [0; 16];
        SystemRandom::new().fill(&mut salt).map_err(|_| Problem::internal(anyhow::anyhow!("no random numbers")))?;
        self.off_thread(move || {
            let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
            hash.map(|hash: PasswordHash| hash.to_string())
        })
        .await?
        .map_err(|error| Problem::internal(anyhow::anyhow!("a password could not be hashed: {error}")))
    }

    /// Whether the password has this hash; it takes as long where there is none.
    pub(crate) async fn fits(&self, password: String, hash: Option<String>) -> Result<bool, Problem> {
        self.off_thread(move || {
            let is_somebody = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODYS.to_owned());
            let Ok(hash) = PasswordHash::new(&hash) else { return false };
            Argon2::default().verify_password(password.as_bytes(), &hash).is_ok() && is_somebody
        })
        .await
    }

    async fn off_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let place = Arc::clone(&self.0).acquire_owned().await.map_err(Problem::internal)?;
        // A caller who hangs up does not end the work, so the place is the work's.
        let work = move || {
            let _place = place;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(Problem::internal)
    }
}

/// What is wrong with a password, as a code and in both languages.
pub(crate) fn fault(password: &str, email: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let length = password.chars().count();
    if length < SHORTEST {
        return Some(("too_short", "Use ao menos 12 caracteres.", "Use at least 12 characters."));
    }
    if length > LONGEST {
        return Some(("too_long", "Use no máximo 128 caracteres.", "Use at most 128 characters."));
    }
    let folded = password.to_lowercase();
    let name = email.split('@').next().unwrap_or_default();
    let holds_name = name.len() > 3 && folded.contains(name);
    let mut letters: Vec<char> = folded.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    if holds_name || letters.len() < 5 || COMMON.iter().any(|common| folded.contains(common)) {
        return Some((
            "too_easy",
            "A senha é fácil de adivinhar: não use seu nome, sequências nem senhas comuns.",
            "The password is easy to guess: use neither your name nor sequences nor common passwords.",
        ));
    }
    None
}

/// What most guessed passwords of twelve characters and more are made of, in Brazil as elsewhere.
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
    async fn a_password_fits_its_own_hash_and_nobody_has_one_that_fits() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correta bateria grampo".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.fits("correta bateria grampo".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.fits("correta bateria grampO".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.fits("correta bateria grampo".to_owned(), None).await.unwrap());
        assert_ne!(hash, passwords.hash("correta bateria grampo".to_owned()).await.unwrap(), "a salt of its own");
    }

    #[test]
    fn nobodys_hash_can_be_read() {
        let hash = PasswordHash::new(NOBODYS).unwrap();
        assert_eq!(hash.hash.unwrap().len(), 32, "it is compared as long as anybody's");
    }

    #[test]
    fn what_is_easy_to_guess_is_refused() {
        let code = |password: &str| fault(password, "maria.silva@acme.example").map(|fault| fault.0);
        assert_eq!(code("curta"), Some("too_short"));
        assert_eq!(code(&"a1b2c3d4".repeat(17)), Some("too_long"));
        for easy in ["maria.silva 2026!", "qwertyuiop-1234", "aaaaaaaaaaaaaa", "ababababababab", "Senha12345678"] {
            assert_eq!(code(easy), Some("too_easy"), "{easy}");
        }
        assert_eq!(code("correta bateria grampo"), None);
    }
}
