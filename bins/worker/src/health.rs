//! Checks at the gateway whether an instance can send.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regua_domain::InstanceState;
use regua_evolution::{ConnectionState, EvolutionClient, InstanceAddress, Reason};
use regua_secrets::{SecretKeys, UnusableAddress, open_address};
use regua_store::instances::Instance;
use tokio::sync::Semaphore;

/// The state of an instance at its gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It is connected.
    Open,
    /// It cannot send. Its row stores state and reason.
    /// `cause` is the reason that only the log shows ([`Reason::disclosed`]).
    Down { state: InstanceState, reason: String, cause: Option<Reason> },
}

/// Most concurrent checks at one gateway: thousands of its lanes may start at the same time, and each check opens a
/// connection.
const MAX_CHECKS: usize = 32;

/// Checks instances at their gateways.
#[derive(Default)]
pub(crate) struct HealthChecks {
    /// By server, so that a gateway that does not answer delays only its own instances.
    permits: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl HealthChecks {
    /// Checks an instance once. An instance whose address or token cannot be used counts as unreachable. None: this
    /// machine had no socket to ask.
    pub(crate) async fn check(&self, gateway: &EvolutionClient, address: &Address) -> Option<Health> {
        let address = match address {
            Ok(address) => address,
            Err(unusable) => return Some(down(unusable)),
        };
        let permits = self.permits_of(address.server());
        let _permit = permits.acquire().await;
        ask(gateway, address).await
    }

    fn permits_of(&self, base_url: &str) -> Arc<Semaphore> {
        let mut permits = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(permits.entry(base_url.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(MAX_CHECKS))))
    }
}

async fn ask(gateway: &EvolutionClient, address: &InstanceAddress) -> Option<Health> {
    let down = |state, reason: &str, cause| Health::Down { state, reason: reason.to_owned(), cause };
    Some(match gateway.connection_state(address).await {
        ConnectionState::Open => Health::Open,
        ConnectionState::Connecting => down(InstanceState::Connecting, "connecting", None),
        ConnectionState::Close => down(InstanceState::Close, "disconnected", None),
        ConnectionState::Unreachable { reason: Reason::NoSocket } => return None,
        ConnectionState::Unreachable { reason } => {
            down(InstanceState::Unreachable, reason.disclosed().as_str(), Some(reason))
        }
    })
}

/// The address of an instance, or the reason why its stored address cannot be used. An instance with an unusable
/// address counts as down, so its contacts wait.
pub(crate) type Address = Result<Arc<InstanceAddress>, UnusableAddress>;

/// Decrypts the stored address of an instance. A lane does so when it reads its configuration, not for each message.
pub(crate) fn address(instance: &Instance, secrets: &SecretKeys) -> Address {
    open_address(secrets, instance.tenant_id, instance).map(Arc::new)
}

/// The health of an instance whose stored address cannot be used.
fn down(unusable: &UnusableAddress) -> Health {
    let reason = match unusable {
        UnusableAddress::TokenUnreadable(_) => "token_unreadable".to_owned(),
        UnusableAddress::Invalid(invalid) => invalid.to_string(),
    };
    Health::Down { state: InstanceState::Unreachable, reason, cause: None }
}
