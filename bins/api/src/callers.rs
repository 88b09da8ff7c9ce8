//! Principals of requests, and what they may do: API keys, users with a session, and the command line. A principal is
//! an extractor, so no handler runs without it. The audit log records what a principal changes.

mod access;
mod actor;
mod api_key;
mod audit_difference;
mod caller;
mod client;
mod cookie;
mod csrf;
mod session;

pub(crate) use self::access::{Access, Administer, Operate, Platform, Principal, Read};
pub(crate) use self::actor::Actor;
pub(crate) use self::caller::{Caller, Posted};
pub(crate) use self::client::{Client, UnauthenticatedRequest, begin_look_up};
pub(crate) use self::cookie::cookie;
