//! All SQL of the fleet: one folder for each area, one file for each table. Functions take `&mut PgConnection`, so that
//! the caller owns the transaction. They return unexpected errors as the database's error, and expected cases as an
//! enum or an `Option`. This crate has no rules (they are in `domain`), no traits and no clock: `now` is an argument.
//! Leases, offers of lanes, rows of `workers` and the visibility of doorbells use PostgreSQL's clock.
//!
//! Callers name a table's module directly, as in `regua_store::contacts`; the areas only order the files.

pub mod campaigns;
mod columns;
mod database;
pub mod intake;
mod messaging;
mod people;
pub mod tenants;

pub use campaigns::{attempts, contacts, evidence, queues, templates, type_defaults};
pub use database::{
    MIGRATOR, PageRows, PinnedConnection, PoolMode, PoolSettings, Role, TRANSACTION_TIMEOUT, is_unavailable, ping,
    pool, transact, within,
};
pub use database::{access, advisory_locks, sealed_secrets, server};
pub use messaging::{dead_letters, doorbells, events, instances, lanes, webhook_events, workers};
pub use people::{audit_log, login_failures, sessions, users};
pub use tenants::{api_keys, business_hours, debtors, holidays, retention, tenant_configs, tenant_rules};
