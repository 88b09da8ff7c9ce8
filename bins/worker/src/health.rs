//! Whether a number can send, as its gateway says, and what is written down when that changes.

use anyhow::Context;
use regua_evolution::{ConnectionState, EvolutionClient, InstanceAddress, Token};
use regua_store::instances::{self, Instance};

/// What the gateway says of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It is connected.
    Open,
    /// It cannot send: the state for the row, and the reason.
    Down { state: &'static str, reason: String },
}

/// Asks the gateway, once. A number whose address or token cannot be used is as good as unreachable.
pub(crate) async fn ask(gateway: &EvolutionClient, instance: &Instance) -> Health {
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
