//! The harness of the end-to-end tests: a fresh database for each test, the real programs, the sandbox as gateway, and
//! a clock that the test sets. A test waits for a condition with a timeout instead of sleeping for a fixed time.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a harness fails by panicking")]

pub mod chaos;
mod client;
mod database;
mod fleet;
pub mod fuzz;
pub mod logs;
pub mod neighbour;
mod process;
mod proxy;
mod round_trips;
mod servers;
mod tenant;
mod user;

pub use client::{Answer, Client, eventually};
pub use database::Database;
pub use fleet::{Fleet, FleetMetrics, FleetOptions, gateway_settings, monday_ten_o_clock};
pub use process::Process;
pub use proxy::Proxy;
pub use round_trips::{RoundTrip, RoundTrips};
pub use servers::{PgBouncer, Postgres, Rabbit, RabbitCluster, Redis};
pub use tenant::{Tenant, TenantOptions, batch, contact, number};
pub use user::{PASSWORD, TestUser};
