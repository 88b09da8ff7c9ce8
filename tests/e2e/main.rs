//! End to end: everything through the public API, against real PostgreSQL, a real broker and the sandbox.

mod away;
mod bad_input;
mod control;
mod killed;
mod main_path;
mod plan;
mod scenarios;
mod stress;
mod structure;
