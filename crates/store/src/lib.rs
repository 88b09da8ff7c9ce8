//! All SQL of the fleet: one folder an area, one file a table. Functions take `&mut PgConnection`, so that the caller
//! owns the transaction. They fail with the database's error; an expected case is an enum or an `Option`. There are no
//! rules here (they are in `domain`), no traits, and no clock: `now` is an argument, except for leases, which
//! PostgreSQL's clock ends.
//!
//! Callers name a table's module directly, as in `regua_store::contacts`; the areas only order the files.

pub mod campaigns;
mod columns;
mod database;
mod messaging;
mod people;
pub mod tenants;

pub use campaigns::{attempts, contacts, evidence, queues, templates, type_defaults};
pub use database::{
    MIGRATOR, PinnedConnection, PoolMode, PoolSettings, Role, TRANSACTION_TIMEOUT, is_unavailable, ping, pool,
    transact, within,
};
pub use database::{access, advisory_locks, sealed_secrets, server};
pub use messaging::{dead_letters, doorbells, instances, lanes, webhook_events, workers};
pub use people::{audit_log, login_failures, sessions, users};
pub use tenants::{api_keys, business_hours, calendars, debtors, holidays, retention, tenant_configs};
