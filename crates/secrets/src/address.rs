//! The address of an instance: its row names the gateway and holds the token sealed.

use std::fmt;

use regua_domain::{InstanceId, InstanceName, TenantId};
use regua_evolution::{InstanceAddress, InvalidAddress, Token};
use regua_store::instances::Instance;

use crate::{CannotOpen, Place, SecretKeys};

/// The columns of an instance's row that make its address. Debug shows neither the gateway nor the token.
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct StoredAddress<'a> {
    pub instance_id: InstanceId,
    /// Also the name at the gateway.
    pub name: &'a InstanceName,
    pub base_url: &'a str,
    /// Sealed for `Place::instance_token`, or plain text where the row is older than sealing.
    pub token: &'a str,
}

impl fmt::Debug for StoredAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredAddress").field("instance_id", &self.instance_id).finish_non_exhaustive()
    }
}

impl<'a> From<&'a Instance> for StoredAddress<'a> {
    fn from(row: &'a Instance) -> Self {
        Self { instance_id: row.instance_id, name: &row.name, base_url: &row.base_url, token: &row.token }
    }
}

/// Why the stored address of an instance cannot be used. It contains nothing of the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableAddress {
    /// The token does not open: its key is unknown here, or the token was changed or moved.
    #[error("the token cannot be read: {0}")]
    TokenUnreadable(CannotOpen),
    /// The address or the opened token is malformed.
    #[error("{0}")]
    Invalid(InvalidAddress),
}

/// Opens the address of a tenant's instance.
pub fn open_address<'a>(
    secrets: &SecretKeys,
    tenant: TenantId,
    stored: impl Into<StoredAddress<'a>>,
) -> Result<InstanceAddress, UnusableAddress> {
    let stored = stored.into();
    let token = open_token(secrets, tenant, stored).map_err(UnusableAddress::TokenUnreadable)?;
    Token::parse(&token)
        .and_then(|token| InstanceAddress::parse(stored.base_url, stored.name.as_str(), token))
        .map_err(UnusableAddress::Invalid)
}

/// Opens the token of a tenant's instance.
pub fn open_token<'a>(
    secrets: &SecretKeys,
    tenant: TenantId,
    stored: impl Into<StoredAddress<'a>>,
) -> Result<String, CannotOpen> {
    let stored = stored.into();
    secrets.open_or_plain(&Place::instance_token(tenant, stored.instance_id), stored.token)
}
