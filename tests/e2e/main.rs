//! End-to-end tests: through the public API, against real PostgreSQL, a real broker and the sandbox gateway.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod admin;
mod bad_input;
mod chaos;
mod control;
mod crashes;
mod descriptors;
mod events;
mod fence;
mod fuzz;
mod gateway;
mod isolation;
mod killed;
mod limits;
mod listening;
mod locked_contacts;
mod main_path;
mod model;
mod neighbour;
mod openapi;
mod outages;
mod people;
mod plan;
mod privacy;
mod rebalance;
mod reconcile;
mod rights;
mod round_trips;
mod scale;
mod scenarios;
mod secrets;
mod servers;
mod stress;
mod structure;
mod tenancy;
