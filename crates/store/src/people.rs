//! The users of a tenant, their sessions and logins, and the audit log.

pub mod audit_log;
pub mod login_failures;
pub mod sessions;
pub mod users;
