//! Limits of requests: rates, and budgets of each resource that one caller could use up (SECURITY.md, "Resources"). They
//! keep a caller with many, large or slow requests from slowing others. docs/limits.md has the amounts.
//!
//! | resource | type |
//! |---|---|
//! | request rates, failures | `rates::RateLimits` |
//! | changes | `changes::ChangeRates` |
//! | places of requests, bodies being received or discarded | `resources::RequestBudget` |
//! | places and password checks of callers without a valid credential | `halved_budget::HalvedBudget` |
//! | look-ups of unknown credentials | `lookups::LookUps` |
//! | memory of bodies and answers | `resources::BodyBudget` |
//! | CPU for batches and webhooks | `computations::Computations` |
//! | connections of clients | `connections::ConnectionBudget` |
//! | connections to the database, exports | `database::Database` |
//! | waiting webhook events | `waiting_events::WaitingEvents` |

mod budgets;
mod changes;
mod client_address;
mod computations;
mod connections;
mod database;
mod event_amount;
mod halved_budget;
mod local;
mod lookups;
mod rates;
mod redis;
mod refused;
mod resources;
mod settings;
mod subject;
mod waiting_events;

use std::sync::Arc;
use std::time::Duration;

use regua_boot::Clock;

use self::changes::ChangeRates;
use self::halved_budget::HalvedBudget;
use self::lookups::LookUps;
use self::rates::RateLimits;
use self::refused::Refusals;
use self::resources::RequestBudget;
use self::waiting_events::WaitingEvents;
use crate::metrics::ApiMetrics;

pub(crate) use self::budgets::Permit;
pub use self::client_address::{ClientAddress, TrustedProxies};
pub(crate) use self::computations::Computations;
pub(crate) use self::connections::{CLOSING, Connection, ConnectionBudget, UnderWay};
pub(crate) use self::database::{ConnectionPermit, Database, TenantTransaction, TransactionError};
pub use self::event_amount::EventAmount;
pub(crate) use self::lookups::LookUp;
pub(crate) use self::rates::{Charge, RateStatus};
pub use self::redis::RedisAddress;
pub(crate) use self::refused::Refused;
pub(crate) use self::resources::BodyBudget;
pub use self::settings::LimitSettings;
pub(crate) use self::subject::Subject;

/// The limits of a process.
pub(crate) struct Limits {
    pub(crate) rates: Arc<RateLimits>,
    pub(crate) changes: ChangeRates,
    pub(crate) look_ups: LookUps,
    /// Requests without a valid credential.
    pub(crate) unauthenticated: HalvedBudget,
    /// Password checks that wait or run.
    pub(crate) password_checks: HalvedBudget,
    pub(crate) connections: Arc<ConnectionBudget>,
    pub(crate) requests: RequestBudget,
    pub(crate) bodies: BodyBudget,
    /// The memory of large answers that are being written.
    pub(crate) answers: BodyBudget,
    pub(crate) computations: Computations,
    pub(crate) waiting_events: WaitingEvents,
}

impl Limits {
    /// `patience` is how long a request may wait for the memory of its body, and a batch for its permit.
    pub(crate) fn new(settings: &LimitSettings, patience: Duration, clock: Clock, metrics: ApiMetrics) -> Self {
        let refusals = Refusals::new(metrics.clone());
        let changes = ChangeRates::new(settings, clock.clone(), refusals.clone());
        let rates = Arc::new(RateLimits::new(settings, clock, metrics.clone(), refusals.clone()));
        Self {
            look_ups: LookUps::new(refusals.clone()),
            unauthenticated: HalvedBudget::new(settings.concurrent_requests / 4, "unauthenticated", refusals.clone()),
            password_checks: HalvedBudget::new(settings.password_checks, "password_checks", refusals.clone()),
            rates,
            changes,
            connections: Arc::new(ConnectionBudget::new(settings, metrics.clone(), refusals.clone())),
            requests: RequestBudget::new(settings, refusals.clone()),
            bodies: BodyBudget::new("bodies", settings.body_bytes, patience, refusals.clone()),
            answers: BodyBudget::new("answers", settings.answer_bytes, Duration::ZERO, refusals.clone()),
            computations: Computations::new(settings, patience, refusals.clone()),
            waiting_events: WaitingEvents::new(settings, metrics, refusals),
        }
    }
}
