//! The subjects of rate limits.

use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use regua_domain::{ApiKeyId, TenantId, UserId};
use uuid::Uuid;

/// The requests that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// Requests with one API key.
    Key(ApiKeyId),
    /// Requests of one address with valid keys and sessions.
    Address(IpAddr),
    /// Requests of one address without a valid key or session.
    Anonymous(IpAddr),
    /// Requests of one network with a refused key or session.
    BadKeys(IpNetwork),
    /// Webhooks of one network with a refused secret.
    BadWebhooks(IpNetwork),
    /// Failed logins of one network.
    BadLogins(IpNetwork),
    /// Failed logins from the devices on which one user logged in before.
    BadLoginsOfDevices(UserId),
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
            Self::BadKeys(network) => write!(f, "regua:limit:bad-keys:{network}"),
            Self::BadWebhooks(network) => write!(f, "regua:limit:bad-webhooks:{network}"),
            Self::BadLogins(network) => write!(f, "regua:limit:bad-logins:{network}"),
            Self::BadLoginsOfDevices(user) => write!(f, "regua:limit:bad-logins-of-devices:{user}"),
            Self::Changes(person) => write!(f, "regua:limit:changes:{person}"),
            Self::TenantChanges(tenant) => write!(f, "regua:limit:tenant-changes:{tenant}"),
        }
    }
}
