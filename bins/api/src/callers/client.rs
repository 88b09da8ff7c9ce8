//! The client of a request, a request without a principal, and the refusal of a credential.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use ipnetwork::IpNetwork;

use crate::context::Context;
use crate::http::request::RequestId;
use crate::http::{Code, Problem};
use crate::limits::ClientAddress;

/// The client of a request, as the audit log shows it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: Option<ClientAddress>,
    pub(crate) request_id: String,
}

impl Client {
    pub(crate) fn of(parts: &Parts) -> Self {
        let address = parts.extensions.get().copied();
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        Self { address, request_id }
    }

    /// The network by which failed logins are counted: one IPv4 address, or the /64 of an IPv6 address.
    pub(crate) fn network(&self) -> IpNetwork {
        let site = self.address.map_or(IpAddr::from([0, 0, 0, 0]), ClientAddress::site);
        IpNetwork::new(site, if site.is_ipv4() { 32 } else { 64 }).unwrap_or_else(|_| site.into())
    }
}

/// A request without a principal, such as a login. It is charged as a failed login before the handler runs; the handler
/// calls `refund_login` on success.
pub(crate) struct UnauthenticatedRequest {
    pub(crate) context: Context,
    pub(crate) client: Client,
    pub(crate) user_agent: Option<String>,
}

impl FromRequestParts<Context> for UnauthenticatedRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        context.limits.rates.charge_login(parts)?;
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let user_agent = user_agent.map(|text| text.chars().take(200).collect());
        Ok(Self { context: context.clone(), client: Client::of(parts), user_agent })
    }
}

/// Charges a refused credential to the client's address. The answer is `code`, or 429 if the failure budget is used up.
pub(super) fn refuse(context: &Context, parts: &Parts, code: Code) -> Problem {
    context.limits.rates.charge_refused(parts).err().map_or_else(|| Problem::of(code), Problem::from)
}
