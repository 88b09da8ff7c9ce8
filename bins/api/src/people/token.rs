//! What people show once they have come in: a cookie at the console, or a short access token with a refresh token.
//!
//! A session's secret names its tenant and its session, so that the database is asked for one row. An access token is a JWT that
//! names the same and is good for ten minutes; whether its session still stands, and what its user may do, is looked up each
//! time, so that it tells who somebody is and never what they may do.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use regua_boot::SecretKeys;
use regua_domain::{SessionId, TenantId};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The cookie of the console. Browsers take a `__Host-` one over HTTPS alone, for this host alone.
pub(crate) const SESSION_COOKIE: &str = "__Host-regua_session";
/// How long an access token is good.
pub(crate) const ACCESS_TOKEN_LIFE: TimeDelta = TimeDelta::minutes(10);
const SECRET_BYTES: usize = 32;
const IDS_BYTES: usize = 32;

/// Random bytes that nobody can guess, as text; none where the system has none.
pub(crate) fn random_secret() -> Option<String> {
    let mut secret = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut secret).ok()?;
    Some(URL_SAFE_NO_PAD.encode(secret))
}

/// What a session's holder shows: the cookie's value, or the refresh token.
pub(crate) struct SessionSecret {
    /// Whose user it is.
    pub(crate) tenant: TenantId,
    /// Which session.
    pub(crate) session: SessionId,
    secret: [u8; SECRET_BYTES],
}

impl SessionSecret {
    /// A new secret of a session; none where the system has no random numbers.
    pub(crate) fn generate(tenant: TenantId, session: SessionId) -> Option<Self> {
        let mut secret = [0; SECRET_BYTES];
        SystemRandom::new().fill(&mut secret).ok()?;
        Some(Self { tenant, session, secret })
    }

    /// As it is shown.
    pub(crate) fn text(&self) -> String {
        let mut bytes = [0; IDS_BYTES + SECRET_BYTES];
        bytes[..16].copy_from_slice(self.tenant.0.as_bytes());
        bytes[16..IDS_BYTES].copy_from_slice(self.session.0.as_bytes());
        bytes[IDS_BYTES..].copy_from_slice(&self.secret);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Takes one apart; whether it is anybody's is another question.
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

    /// As it is kept.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }
}

/// Writes and reads access tokens (JWT, HS256).
///
/// By hand on `ring`, for the JWT crates that are kept up bring RSA or a second crypto provider with them. Only tokens of our
/// own are read, and only with the one header that we write, so that there is no algorithm to be talked into.
#[derive(Clone)]
pub(crate) struct AccessTokens {
    /// The first signs, each of them is believed.
    keys: Vec<hmac::Key>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    /// The session.
    sid: Uuid,
    /// The tenant whose user it is.
    tid: Uuid,
    iat: i64,
    exp: i64,
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const ISSUER: &str = "regua";

impl AccessTokens {
    /// Signed with a key that is derived from the deployment's, for this alone.
    pub(crate) fn new(keys: &SecretKeys) -> Self {
        let keys = keys.derived("access tokens");
        Self { keys: keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect() }
    }

    /// A token for a session, and when it ends.
    pub(crate) fn issue(&self, tenant: TenantId, session: SessionId, now: DateTime<Utc>) -> Option<String> {
        let ends = (now + ACCESS_TOKEN_LIFE).timestamp();
        let claims = Claims { iss: ISSUER.to_owned(), sid: session.0, tid: tenant.0, iat: now.timestamp(), exp: ends };
        let claims = serde_json::to_vec(&claims).ok()?;
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(self.keys.first()?, signed.as_bytes());
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Whose session a token is for; none where it is not ours, or its time is over.
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
        let is_good = claims.iss == ISSUER && now.timestamp() < claims.exp;
        is_good.then_some((TenantId(claims.tid), SessionId(claims.sid)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-23T13:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_secret_is_read_back_and_has_a_hash_of_its_own() {
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
    fn an_access_token_is_good_for_ten_minutes_and_for_nothing_that_was_changed() {
        let tokens = AccessTokens::new(&SecretKeys::development());
        let (tenant, session) = (TenantId::new(now()), SessionId::new(now()));
        let token = tokens.issue(tenant, session, now()).unwrap();
        assert_eq!(tokens.read(&token, now()), Some((tenant, session)));
        assert_eq!(tokens.read(&token, now() + ACCESS_TOKEN_LIFE - TimeDelta::seconds(1)), Some((tenant, session)));
        assert_eq!(tokens.read(&token, now() + ACCESS_TOKEN_LIFE), None);
        for place in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last letter of a signature has two bits that mean nothing; base64 refuses other ones.
            assert_eq!(tokens.read(&changed, now()), None, "letter {place}");
        }
    }

    #[test]
    fn a_token_that_says_it_needs_no_signature_is_none() {
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
