//! The keys that seal and open secrets; the database does not have them. A sealed secret is bound to its place (column
//! and row) and opens at no other (docs/adr/0010-secrets-are-sealed-with-aes-gcm.md).

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use regua_domain::{InstanceId, Sealed, TenantId, UserId};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;

const KEY_BYTES: usize = 32;

/// The public key of development and tests, in the form of `REGUA_SECRET_KEY`.
pub const DEVELOPMENT_SECRET_KEY: &str = "cmVndWEtZGV2ZWxvcG1lbnQta2V5LW5vLXNlY3JldCE=";

/// The keys of a process that seals or opens secrets.
#[derive(Args, Clone, Default)]
pub struct SecretArguments {
    /// Key that seals secrets in the database, 32 random bytes in base64 (openssl rand -base64 32); required
    #[arg(long = "secret-key", env = "REGUA_SECRET_KEY", hide_env_values = true, value_name = "KEY")]
    pub secret_key: Option<String>,
    /// Earlier keys, with commas between them: they open what they have sealed, until `regua secrets rotate` has
    /// sealed it with the new key
    #[arg(long = "old-secret-keys", env = "REGUA_OLD_SECRET_KEYS", hide_env_values = true, value_name = "KEYS")]
    pub old_secret_keys: Option<String>,
}

impl SecretArguments {
    /// The keys. The error names the missing or wrong variable and never its value; clap would print a refused value,
    /// so the keys are parsed here.
    pub fn keys(&self) -> anyhow::Result<SecretKeys> {
        let example = "32 random bytes in base64, such as `openssl rand -base64 32` prints";
        let Some(current) = self.secret_key.as_deref().filter(|key| !key.is_empty()) else {
            anyhow::bail!("REGUA_SECRET_KEY is not set: give it {example}, the same to every process");
        };
        let current = Key::parse(current).ok_or_else(|| anyhow::anyhow!("REGUA_SECRET_KEY is not {example}"))?;
        let old = self.old_secret_keys.as_deref().unwrap_or_default().split(',').map(str::trim);
        let old: Option<Vec<_>> = old.filter(|key| !key.is_empty()).map(Key::parse).collect();
        let old = old.ok_or_else(|| anyhow::anyhow!("one of REGUA_OLD_SECRET_KEYS is not {example}"))?;
        Ok(SecretKeys::of(current, old))
    }

    /// The keys, or the development key when none is set: for `regua dev` and `regua demo`.
    pub fn keys_or_development(&self) -> anyhow::Result<SecretKeys> {
        if self.is_set() { self.keys() } else { Ok(SecretKeys::development()) }
    }

    /// Whether a current key is set.
    pub fn is_set(&self) -> bool {
        self.secret_key.as_deref().is_some_and(|key| !key.is_empty())
    }
}

impl fmt::Debug for SecretArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretArguments").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}

/// Where a secret is stored. A secret that is sealed for one place opens at no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(Vec<u8>);

impl Place {
    /// A column (`table.column`) and the primary key of a row.
    pub fn new(column: &'static str, row: &[Uuid]) -> Self {
        let mut bytes = column.as_bytes().to_vec();
        // No column's name contains NUL, and all ids have one length: two places never have the same bytes.
        bytes.push(0);
        row.iter().for_each(|id| bytes.extend_from_slice(id.as_bytes()));
        Self(bytes)
    }

    /// The seed of a user's second factor.
    pub fn totp_seed(tenant: TenantId, user: UserId) -> Self {
        Self::new("users.totp_seed", &[tenant.0, user.0])
    }

    /// The token of an instance.
    pub fn instance_token(tenant: TenantId, instance: InstanceId) -> Self {
        Self::new("instances.token", &[tenant.0, instance.0])
    }
}

/// The keys of a deployment: the first one seals, each of them opens. Clones share them.
#[derive(Clone)]
pub struct SecretKeys(Arc<[Key]>);

struct Key {
    id: String,
    key: LessSafeKey,
    /// Derives other keys.
    root: hmac::Key,
}

/// Why a secret cannot be opened. It contains nothing of the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotOpen {
    /// The text has not the form of a sealed secret.
    #[error("it is not sealed")]
    NotSealed,
    /// None of the keys has this id.
    #[error("it is sealed with the key {0}, which is neither REGUA_SECRET_KEY nor among REGUA_OLD_SECRET_KEYS")]
    UnknownKey(String),
    /// The text was changed, or sealed for another place.
    #[error("it was changed since it was sealed, or it was sealed for another place")]
    Broken,
}

/// The operating system has no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret could not be sealed: the system has no random numbers")]
pub struct CannotSeal;

impl SecretKeys {
    fn of(current: Key, old: Vec<Key>) -> Self {
        Self([current].into_iter().chain(old).collect())
    }

    /// The public key of development and tests.
    pub fn development() -> Self {
        #[expect(clippy::expect_used, reason = "it is a constant, and every test stands on it")]
        let key = Key::parse(DEVELOPMENT_SECRET_KEY).expect("32 bytes in base64");
        Self::of(key, Vec::new())
    }

    /// Keys for another purpose, in the order of these keys, which they do not reveal.
    pub fn derived(&self, purpose: &str) -> Vec<[u8; KEY_BYTES]> {
        let derive = |key: &Key| {
            let mut derived = [0; KEY_BYTES];
            derived.copy_from_slice(hmac::sign(&key.root, format!("regua key for {purpose}").as_bytes()).as_ref());
            derived
        };
        self.0.iter().map(derive).collect()
    }

    /// The id of the key that seals.
    pub fn current_id(&self) -> &str {
        &self.0[0].id
    }

    /// Whether some key has this id.
    pub fn has(&self, key_id: &str) -> bool {
        self.0.iter().any(|key| key.id == key_id)
    }

    /// Seals a secret for its place.
    pub fn seal(&self, place: &Place, plain: &str) -> Result<Sealed, CannotSeal> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| CannotSeal)?;
        let mut sealed = plain.as_bytes().to_vec();
        let key = &self.0[0];
        key.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&place.0), &mut sealed)
            .map_err(|_| CannotSeal)?;
        Sealed::from_parts(&key.id, &STANDARD.encode([&nonce[..], &sealed].concat())).ok_or(CannotSeal)
    }

    /// Opens a secret that is sealed for this place.
    pub fn open(&self, place: &Place, stored: &str) -> Result<String, CannotOpen> {
        let sealed = Sealed::parse(stored).ok_or(CannotOpen::NotSealed)?;
        let key = self.0.iter().find(|key| key.id == sealed.key_id());
        let key = key.ok_or_else(|| CannotOpen::UnknownKey(sealed.key_id().to_owned()))?;
        let mut bytes = STANDARD.decode(sealed.ciphertext()).map_err(|_| CannotOpen::Broken)?;
        let (nonce, ciphertext) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(CannotOpen::Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotOpen::Broken)?;
        let plain = key.key.open_in_place(nonce, Aad::from(&place.0), ciphertext).map_err(|_| CannotOpen::Broken)?;
        String::from_utf8(plain.to_vec()).map_err(|_| CannotOpen::Broken)
    }

    /// Opens a sealed secret, and returns plain text unchanged: only for columns that are older than sealing.
    pub fn open_or_plain(&self, place: &Place, stored: &str) -> Result<String, CannotOpen> {
        match self.open(place, stored) {
            Err(CannotOpen::NotSealed) => Ok(stored.to_owned()),
            opened => opened,
        }
    }
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.0.iter().map(|key| &key.id).collect();
        f.debug_tuple("SecretKeys").field(&ids).finish()
    }
}

impl Key {
    fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.trim()).ok()?;
        Some(Self::new(<&[u8; KEY_BYTES]>::try_from(bytes.as_slice()).ok()?))
    }

    fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        let hash = digest(&SHA256, &[b"regua key id ", &bytes[..]].concat());
        let id = hash.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        #[expect(clippy::expect_used, reason = "the length is that of the algorithm's keys")]
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes");
        let root = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        Self { id, key: LessSafeKey::new(key), root }
    }
}

#[cfg(test)]
mod tests;
