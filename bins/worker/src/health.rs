//! Whether a number can send, as its gateway says, and what is written down when that changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regua_boot::{CannotOpen, Place, SecretKeys};
use regua_domain::TenantId;
use regua_evolution::{ConnectionState, EvolutionClient, InstanceAddress, InvalidAddress, Token};
use regua_store::instances::{self, Instance};
use tokio::sync::Semaphore;

/// What the gateway says of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It is connected.
    Open,
    /// It cannot send: the state for the row, and the reason.
    Down { state: &'static str, reason: String },
}

/// Questions that one gateway is asked at the same time: thousands of its numbers may begin in the same moment, and each
/// question would open a connection.
const AT_ONCE: usize = 32;

/// Asks gateways about their numbers.
#[derive(Default)]
pub(crate) struct Checks {
    /// By address, so that a gateway that does not answer keeps nobody else's numbers waiting.
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Checks {
    /// Asks the gateway, once. A number whose address or token cannot be used is as good as unreachable.
    pub(crate) async fn ask(&self, gateway: &EvolutionClient, address: &Address) -> Health {
        let address = match address {
            Ok(address) => address,
            Err(unusable) => return unusable.down(),
        };
        let places = self.places_of(address.server());
        let _place = places.acquire().await;
        ask(gateway, address).await
    }

    fn places_of(&self, base_url: &str) -> Arc<Semaphore> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(base_url.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))))
    }
}

async fn ask(gateway: &EvolutionClient, address: &InstanceAddress) -> Health {
    let down = |state, reason: &str| Health::Down { state, reason: reason.to_owned() };
    match gateway.connection_state(address).await {
        ConnectionState::Open => Health::Open,
        ConnectionState::Connecting => down("connecting", "connecting"),
        ConnectionState::Close => down("close", "disconnected"),
        ConnectionState::Unreachable { reason } => down("unreachable", reason.as_str()),
    }
}

/// Why what is stored of a number cannot be used. Its contacts wait, as for any number that cannot send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// The token does not open: its key is not known here, or it was changed or moved.
    TokenUnreadable(CannotOpen),
    /// The address, or the token once it is open, has not the form of one.
    Invalid(InvalidAddress),
}

impl Unusable {
    /// As the number's health.
    pub(crate) fn down(&self) -> Health {
        let reason = match self {
            Self::TokenUnreadable(_) => "token_unreadable".to_owned(),
            Self::Invalid(invalid) => invalid.to_string(),
        };
        Health::Down { state: "unreachable", reason }
    }

    /// For the operator; it repeats nothing of what is stored.
    pub(crate) fn explanation(&self) -> String {
        match self {
            Self::TokenUnreadable(cannot) => format!("the token cannot be read: {cannot}"),
            Self::Invalid(invalid) => invalid.to_string(),
        }
    }
}

/// Where a number is reached, or why what is stored of it cannot be used.
pub(crate) type Address = Result<Arc<InstanceAddress>, Unusable>;

/// Where a stored number is reached. Its token is opened here: once for each time that its lane's rules are read, and not
/// for each message.
pub(crate) fn address(tenant: TenantId, instance: &Instance, secrets: &SecretKeys) -> Address {
    let place = Place::instance_token(tenant, instance.instance_id);
    let token = secrets.open_or_plain(&place, &instance.token).map_err(Unusable::TokenUnreadable)?;
    Token::parse(&token)
        .and_then(|token| InstanceAddress::parse(&instance.base_url, &instance.name, token))
        .map(Arc::new)
        .map_err(Unusable::Invalid)
}

/// Writes down that a number is down, and holds its queues; false when it is not the number that was asked about any more.
pub(crate) async fn note_down(
    tenant: TenantId,
    asked: &Instance,
    context: &crate::lane::Context,
    conn: &mut sqlx::PgConnection,
    state: &str,
    reason: &str,
) -> Result<bool, sqlx::Error> {
    let now = context.clock.now();
    let next_check_at = now + context.settings.recheck_after;
    instances::is_down(conn, tenant, asked, state, reason, now, next_check_at).await
}
