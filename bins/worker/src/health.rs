//! Whether a number can send, as its gateway says, and what is written down when that changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use regua_evolution::{ConnectionState, EvolutionClient, InstanceAddress, Token};
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
    pub(crate) async fn ask(&self, gateway: &EvolutionClient, instance: &Instance) -> Health {
        let places = self.places_of(&instance.base_url);
        let _place = places.acquire().await;
        ask(gateway, instance).await
    }

    fn places_of(&self, base_url: &str) -> Arc<Semaphore> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(base_url.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))))
    }
}

async fn ask(gateway: &EvolutionClient, instance: &Instance) -> Health {
    let down = |state, reason: &str| Health::Down { state, reason: reason.to_owned() };
    let address = match address(instance) {
        Ok(address) => address,
        Err(error) => return down("unreachable", &format!("{error:#}")),
    };
    match gateway.connection_state(&address).await {
        ConnectionState::Open => Health::Open,
        ConnectionState::Connecting => down("connecting", "connecting"),
        ConnectionState::Close => down("close", "disconnected"),
        ConnectionState::Unreachable { reason } => down("unreachable", reason.as_str()),
    }
}

/// Where a stored number is reached.
pub(crate) fn address(instance: &Instance) -> anyhow::Result<InstanceAddress> {
    let token = Token::parse(&instance.token).context("the instance's token cannot be used")?;
    InstanceAddress::parse(&instance.base_url, &instance.name, token).context("the instance's address cannot be used")
}

/// Writes down that a number is down, and holds its queues.
pub(crate) async fn note_down(
    lane: &crate::lane::Key,
    context: &crate::lane::Context,
    conn: &mut sqlx::PgConnection,
    state: &str,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let now = context.clock.now();
    let next_check_at = now + context.settings.recheck_after;
    instances::is_down(conn, lane.tenant, lane.instance, state, reason, now, next_check_at).await
}
