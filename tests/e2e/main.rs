//! End to end: everything through the public API, against real PostgreSQL, a real broker and the sandbox.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, and tells one story")]

mod away;
mod bad_input;
mod chaos;
mod control;
mod crashes;
mod fence;
mod fuzz;
mod killed;
mod main_path;
mod model;
mod openapi;
mod plan;
mod reconcile;
mod scale;
mod scenarios;
mod servers;
mod sharing;
mod stress;
mod structure;
mod tenancy;
mod upgrade;
