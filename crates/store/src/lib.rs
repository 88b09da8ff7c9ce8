//! All SQL of the fleet, one file a table: functions over `&mut PgConnection`, so that the caller owns the transaction.
//! Expected cases are enums; `sqlx::Error` is for surprises. What is deliberately absent: rules (they are in `domain`),
//! a clock (`now` is an argument, save for leases, which live by PostgreSQL's own), and traits.

pub mod access;
pub mod advisory_locks;
pub mod api_keys;
pub mod attempts;
pub mod audit_log;
pub mod business_hours;
pub mod calendars;
pub mod campaigns;
pub mod contacts;
pub mod dead_letters;
pub mod debtors;
pub mod evidence;
pub mod holidays;
pub mod instances;
pub mod lanes;
pub mod login_failures;
pub mod outbox;
mod pool;
pub mod queues;
pub mod retention;
pub mod sealed_secrets;
pub mod server;
pub mod sessions;
pub mod templates;
pub mod tenant_configs;
pub mod tenants;
pub mod type_defaults;
pub mod users;
pub mod webhook_events;
pub mod workers;

pub use access::Role;
pub use pool::{Kept, MIGRATOR, PATIENCE, PoolMode, PoolSettings, is_unavailable, ping, pool, within};
