//! The database itself: connections, the tenant and the role of a transaction, advisory locks, the server, and the
//! columns that hold sealed secrets.

pub mod access;
pub mod advisory_locks;
mod page_rows;
mod pool;
pub mod sealed_secrets;
pub mod server;

pub use access::Role;
pub(crate) use page_rows::PageReader;
pub use page_rows::PageRows;
pub use pool::{
    MIGRATOR, PinnedConnection, PoolMode, PoolSettings, TRANSACTION_TIMEOUT, is_unavailable, ping, pool, transact,
    within,
};
