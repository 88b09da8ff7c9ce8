//! End to end: everything through the public API, against real PostgreSQL, a real broker and the sandbox.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, and tells one story")]

mod admin;
mod away;
mod bad_input;
mod chaos;
mod control;
mod crashes;
mod fence;
mod fuzz;
mod gateway;
mod isolation;
mod killed;
mod limits;
mod main_path;
mod model;
mod openapi;
mod people;
mod plan;
mod privacy;
mod reconcile;
mod rights;
mod scale;
mod scenarios;
mod secrets;
mod servers;
mod sharing;
mod stress;
mod structure;
mod tenancy;
mod upgrade;
