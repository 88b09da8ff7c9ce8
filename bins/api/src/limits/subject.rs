//! The subjects of rate limits.

use std::fmt;
use std::net::IpAddr;

use regua_domain::{ApiKeyId, TenantId};
use uuid::Uuid;

/// The requests that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// Requests with one API key.
    Key(ApiKeyId),
    /// Requests of one address with valid keys.
    Address(IpAddr),
    /// Requests of one address without a key.
    Anonymous(IpAddr),
    /// Requests of one address with a refused key or session.
    BadKeys(IpAddr),
    /// Webhooks of one address with a refused secret.
    BadWebhooks(IpAddr),
    /// Failed logins of one address.
    BadLogins(IpAddr),
    /// Changes by one user or API key.
    Changes(Uuid),
    /// Changes at one tenant.
    TenantChanges(TenantId),
}

impl fmt::Display for Subject {
    /// The key in Redis, with a prefix because other programs may use the same server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "regua:limit:key:{key}"),
            Self::Address(address) => write!(f, "regua:limit:address:{address}"),
            Self::Anonymous(address) => write!(f, "regua:limit:anonymous:{address}"),
            Self::BadKeys(address) => write!(f, "regua:limit:bad-keys:{address}"),
            Self::BadWebhooks(address) => write!(f, "regua:limit:bad-webhooks:{address}"),
            Self::BadLogins(address) => write!(f, "regua:limit:bad-logins:{address}"),
            Self::Changes(person) => write!(f, "regua:limit:changes:{person}"),
            Self::TenantChanges(tenant) => write!(f, "regua:limit:tenant-changes:{tenant}"),
        }
    }
}
