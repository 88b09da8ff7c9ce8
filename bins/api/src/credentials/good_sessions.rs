//! Sessions that were valid lately in this process, and the addresses that they came from. A session in the list is
//! looked up whatever else its address sends. The list proves nothing: every session is looked up in the database.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use regua_domain::SessionId;
use subtle::ConstantTimeEq;

use super::cache::{Cache, Cached};
use super::token::SessionSecret;
use crate::limits::ClientAddress;

/// How long an address is known after its last valid session.
const ADDRESS_KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) struct GoodSessions {
    /// The hash of the current secret.
    secrets: Cache<SessionId, [u8; 32]>,
    addresses: Cache<IpAddr, ()>,
}

impl GoodSessions {
    pub(crate) fn new() -> Self {
        // An entry of age zero has expired: it still shows that the secret was valid.
        Self { secrets: Cache::new(Duration::ZERO), addresses: Cache::new(ADDRESS_KNOWN_FOR) }
    }

    pub(crate) fn record_secret(&self, secret: &SessionSecret) {
        self.secrets.insert(secret.session, Arc::new(secret.hash()), Instant::now());
    }

    pub(crate) fn record_address(&self, address: Option<ClientAddress>) {
        if let Some(address) = address {
            self.addresses.insert(address.site(), Arc::new(()), Instant::now());
        }
    }

    pub(crate) fn has_secret(&self, secret: &SessionSecret) -> bool {
        let is_same = |known: &[u8; 32]| known.ct_eq(&secret.hash()).into();
        !matches!(self.secrets.get(&secret.session, Instant::now(), is_same), Cached::Unknown)
    }

    pub(crate) fn has_address(&self, address: Option<ClientAddress>) -> bool {
        let known = address.map(|address| self.addresses.get(&address.site(), Instant::now(), |()| true));
        matches!(known, Some(Cached::Fresh(_) | Cached::Ageing(_)))
    }

    /// Removes a session that has ended.
    pub(crate) fn remove(&self, secret: &SessionSecret) {
        if self.has_secret(secret) {
            self.secrets.remove(&secret.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use regua_domain::TenantId;

    use super::*;

    #[test]
    fn session_is_known_by_its_last_valid_secret_until_it_ends() {
        let now: DateTime<Utc> = "2026-11-23T13:00:00Z".parse().unwrap();
        let (sessions, tenant, session) = (GoodSessions::new(), TenantId::new(now), SessionId::new(now));
        let [old, new] = [(); 2].map(|()| SessionSecret::generate(tenant, session).unwrap());
        assert!(!sessions.has_secret(&old));
        sessions.record_secret(&old);
        assert!(sessions.has_secret(&old) && !sessions.has_secret(&new));
        sessions.record_secret(&new);
        assert!(sessions.has_secret(&new) && !sessions.has_secret(&old));
        sessions.remove(&old);
        assert!(sessions.has_secret(&new), "a former secret does not remove the session");
        sessions.remove(&new);
        assert!(!sessions.has_secret(&new));
    }
}
