//! The post: the one request to the gateway for a marked attempt. No transaction is open.

use fail::fail_point;
use regua_boot::Clock;
use regua_domain::PhoneNumber;
use regua_evolution::{EvolutionClient, InstanceAddress, Outcome};
use regua_store::contacts::Claimed;

use crate::lease::HeldLease;
use crate::next_state::{NextState, not_posted, unreadable_number};

/// Posts once. The error is the next state of a contact whose message was not posted.
pub(crate) async fn post(
    gateway: &EvolutionClient,
    address: &InstanceAddress,
    contact: &Claimed,
    lease: &HeldLease,
    clock: &Clock,
) -> Result<Outcome, NextState> {
    let Ok(number) = PhoneNumber::from_stored(&contact.phone) else { return Err(unreadable_number()) };
    if !lease.is_valid() {
        return Err(not_posted(clock.now()));
    }
    fail_point!("post::before");
    let outcome = gateway.send_text(address, &number, &contact.text).await;
    fail_point!("post::after");
    Ok(outcome)
}
