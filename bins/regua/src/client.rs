//! Clients of the HTTP API: `billing` calls it with an API key, `admin` with an access token or inside this process.

mod admin;
mod answers;
mod billing;

pub(crate) use admin::{AdminArguments, AdminClient, GatewayAccess, TenantArguments};
pub(crate) use answers::{Contact, ContactIssue, Problem, QueueStatus, SendAccepted};
pub(crate) use billing::{ApiArguments, BillingClient};
