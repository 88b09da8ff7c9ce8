//! The credentials of a session: the console's cookie, or a refresh token with short-lived access tokens.
//!
//! Each names the tenant and the session, so the look-up reads one row. An access token is a JWT that is valid for ten
//! minutes. It proves the identity of a user only: each request looks up whether the session is open and which role the
//! user has.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{SessionId, TenantId};
use regua_secrets::SecretKeys;
use ring::hmac;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::random_bytes;

/// The cookie of the console. Browsers accept and send the prefix `__Host-` over HTTPS only, for this host only.
pub(crate) const SESSION_COOKIE: &str = "__Host-regua_session";
/// How long an access token is valid.
pub(crate) const ACCESS_TOKEN_LIFE: TimeDelta = TimeDelta::minutes(10);
const SECRET_BYTES: usize = 32;
const IDS_BYTES: usize = 32;

/// The value of the cookie, or the refresh token.
pub(crate) struct SessionSecret {
    pub(crate) tenant: TenantId,
    pub(crate) session: SessionId,
    secret: [u8; SECRET_BYTES],
}

impl SessionSecret {
    pub(crate) fn generate(tenant: TenantId, session: SessionId) -> anyhow::Result<Self> {
        Ok(Self { tenant, session, secret: random_bytes()? })
    }

    pub(crate) fn text(&self) -> String {
        let parts: [&[u8]; 3] = [self.tenant.0.as_bytes(), self.session.0.as_bytes(), &self.secret];
        URL_SAFE_NO_PAD.encode(parts.concat())
    }

    /// Splits a well-formed secret. Its session may not exist.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; IDS_BYTES + SECRET_BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (ids, secret) = bytes.split_at(IDS_BYTES);
        let id = |bytes: &[u8]| Uuid::from_slice(bytes).ok();
        Some(Self {
            tenant: TenantId(id(&ids[..16])?),
            session: SessionId(id(&ids[16..])?),
            secret: secret.try_into().ok()?,
        })
    }

    /// The hash that the database has.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }
}

/// Issues and reads access tokens (JWT, HS256).
///
/// Written on `ring` directly: the maintained JWT crates depend on RSA or on a second crypto provider. Only tokens with
/// the one header that is issued here are read, so a token cannot choose its algorithm.
#[derive(Clone)]
pub(crate) struct AccessTokens {
    /// The first key signs; a signature by any of them is valid.
    keys: Vec<hmac::Key>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    /// The session.
    sid: Uuid,
    /// The user's tenant.
    tid: Uuid,
    iat: i64,
    exp: i64,
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const ISSUER: &str = "regua";

impl AccessTokens {
    /// The signing keys are derived from the deployment's keys for this purpose only.
    pub(crate) fn new(keys: &SecretKeys) -> Self {
        let keys = keys.derived("access tokens");
        Self { keys: keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect() }
    }

    /// A token for a session. None: the deployment has no key.
    pub(crate) fn issue(&self, tenant: TenantId, session: SessionId, now: DateTime<Utc>) -> Option<String> {
        let exp = (now + ACCESS_TOKEN_LIFE).timestamp();
        let claims = Claims { iss: ISSUER.to_owned(), sid: session.0, tid: tenant.0, iat: now.timestamp(), exp };
        let claims = serde_json::to_vec(&claims).ok()?;
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(self.keys.first()?, signed.as_bytes());
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The session of a token; none when the token is forged or expired.
    pub(crate) fn read(&self, token: &str, now: DateTime<Utc>) -> Option<(TenantId, SessionId)> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if !self.keys.iter().any(|key| hmac::verify(key, signed.as_bytes(), &signature).is_ok()) {
            return None;
        }
        let (header, claims) = signed.split_once('.')?;
        if header != URL_SAFE_NO_PAD.encode(HEADER) {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let is_valid = claims.iss == ISSUER && now.timestamp() < claims.exp;
        is_valid.then_some((TenantId(claims.tid), SessionId(claims.sid)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-23T13:00:00Z".parse().unwrap()
    }

    #[test]
    fn session_secret_is_parsed_and_has_its_own_hash() {
        let (tenant, session) = (TenantId::new(now()), SessionId::new(now()));
        let secret = SessionSecret::generate(tenant, session).unwrap();
        let read = SessionSecret::parse(&secret.text()).unwrap();
        assert_eq!((read.tenant, read.session, read.hash()), (tenant, session, secret.hash()));
        assert_ne!(SessionSecret::generate(tenant, session).unwrap().hash(), secret.hash());
        for odd in ["", "a", &secret.text()[1..], &format!("{}A", secret.text()), "💣"] {
            assert!(SessionSecret::parse(odd).is_none(), "{odd:?}");
        }
    }

    #[test]
    fn access_token_is_valid_for_ten_minutes_and_refused_if_altered() {
        let tokens = AccessTokens::new(&SecretKeys::development());
        let (tenant, session) = (TenantId::new(now()), SessionId::new(now()));
        let token = tokens.issue(tenant, session, now()).unwrap();
        assert_eq!(tokens.read(&token, now()), Some((tenant, session)));
        assert_eq!(tokens.read(&token, now() + ACCESS_TOKEN_LIFE - TimeDelta::seconds(1)), Some((tenant, session)));
        assert_eq!(tokens.read(&token, now() + ACCESS_TOKEN_LIFE), None);
        for position in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last letter of a signature has two unused bits; base64 refuses a letter with other values of them.
            assert_eq!(tokens.read(&changed, now()), None, "letter {position}");
        }
    }

    #[test]
    fn token_without_a_valid_signature_is_refused() {
        let tokens = AccessTokens::new(&SecretKeys::development());
        let claims =
            format!(r#"{{"iss":"regua","sid":"{}","tid":"{}","iat":0,"exp":99999999999}}"#, Uuid::nil(), Uuid::nil());
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS256","typ":"JWT"}"#, r#"{"alg":"RS256"}"#] {
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(&claims));
            for signature in [String::new(), URL_SAFE_NO_PAD.encode([0; 32])] {
                assert_eq!(tokens.read(&format!("{signed}.{signature}"), now()), None);
            }
        }
    }
}
