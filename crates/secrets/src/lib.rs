//! Secrets at rest: the keys that seal and open them, the keyed hashes of debtors, and the address of an instance with
//! its token opened. No logs, no SQL.

mod address;
mod debtors;
mod keys;

pub use address::{StoredAddress, UnusableAddress, open_address, open_token};
pub use debtors::DebtorKeys;
pub use keys::{CannotOpen, CannotSeal, DEVELOPMENT_SECRET_KEY, Place, SecretArguments, SecretKeys};
