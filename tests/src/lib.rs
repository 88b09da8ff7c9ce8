//! The harness of the end-to-end tests: a fresh database each, the real programs, the sandbox as gateway, and a clock that
//! the test moves. Nothing here sleeps to be lucky: a test waits for what it expects, and fails when it does not come.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a harness fails by panicking")]

pub mod chaos;
mod client;
mod database;
mod fleet;
pub mod fuzz;
pub mod load;
pub mod logs;
mod person;
mod process;
mod proxy;
mod servers;
mod tenant;

pub use client::{Answer, Client, eventually};
pub use database::Database;
pub use fleet::{Fleet, FleetOptions, gateway_settings, monday_ten_o_clock};
pub use person::{PASSWORD, Person};
pub use process::Process;
pub use proxy::Proxy;
pub use servers::{PgBouncer, Postgres, Rabbit, RabbitCluster, Redis};
pub use tenant::{Tenant, TenantOptions, batch, contact, number};
