//! The client of a request, a request without a principal, and the refusal of a credential.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use ipnetwork::IpNetwork;
use regua_domain::TenantId;

use super::cookie::cookie;
use crate::context::Context;
use crate::credentials::device::{DEVICE_COOKIE, Device};
use crate::http::body::RequestOwner;
use crate::http::request::RequestId;
use crate::http::{Code, Problem};
use crate::limits::{Charge, ClientAddress, LookUp, Permit, RateStatus, Refused, Subject};

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
        self.address.map_or_else(|| IpAddr::from([0, 0, 0, 0]).into(), ClientAddress::site_network)
    }
}

/// A request without a principal, such as a login. It holds a permit of the budget of such requests while its body is
/// received and until it is answered. The handler calls [`Self::begin_look_up`] before it looks a secret up, and
/// [`Self::accept`] when it has found it.
pub(crate) struct UnauthenticatedRequest {
    pub(crate) context: Context,
    pub(crate) client: Client,
    pub(crate) user_agent: Option<String>,
    /// The user who logged in on the client's device before.
    pub(crate) device: Option<Device>,
    rate_status: Option<RateStatus>,
    owner: Option<RequestOwner>,
    _permit: Permit,
}

impl FromRequestParts<Context> for UnauthenticatedRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        context.limits.rates.admit_stranger(parts)?;
        let (client, now) = (Client::of(parts), context.clock.now());
        let device = cookie(&parts.headers, DEVICE_COOKIE).and_then(|proof| context.devices.read(proof, now));
        let is_known = device.is_some() || context.good_sessions.has_address(client.address);
        let permit = context.limits.unauthenticated.take(client.address, is_known)?;
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let user_agent = user_agent.map(|text| text.chars().take(200).collect());
        let (rate_status, owner) = (parts.extensions.get().cloned(), parts.extensions.get().cloned());
        Ok(Self { context: context.clone(), client, user_agent, device, rate_status, owner, _permit: permit })
    }
}

impl UnauthenticatedRequest {
    /// A permit for a password check. It is taken before any work in the database.
    pub(crate) fn password_permit(&self) -> Result<Permit, Refused> {
        let is_known = self.device.is_some() || self.context.good_sessions.has_address(self.client.address);
        self.context.limits.password_checks.take(self.client.address, is_known)
    }

    /// Charges a failure before a secret is looked up, and waits for the permit of the look-up.
    pub(crate) async fn begin_look_up(&self) -> Result<LookUp<'_>, Refused> {
        let (limits, status) = (&self.context.limits, self.rate_status.as_ref());
        let charge = match self.device {
            Some(device) => limits.rates.charge_device(device.user, status)?,
            None => limits.rates.charge(self.client.address.as_ref(), status, Subject::BadLogins)?,
        };
        limits.look_ups.begin(charge, None).await
    }

    /// Records that the secret is one of the tenant, and refunds its charge.
    pub(crate) fn accept(&self, tenant: TenantId, charge: Option<Charge<'_>>) {
        if let Some(charge) = charge {
            charge.refund();
        }
        if let Some(owner) = &self.owner {
            owner.set(tenant);
        }
        self.context.good_sessions.record_address(self.client.address);
    }
}

/// Begins the look-up of a secret in a request's headers that this process does not know. The request is counted among
/// those without a valid credential, and the failure is charged, until the secret is found.
pub(crate) async fn begin_look_up<'a>(
    context: &'a Context,
    parts: &Parts,
    failure: fn(IpNetwork) -> Subject,
) -> Result<LookUp<'a>, Refused> {
    let (limits, address) = (&context.limits, parts.extensions.get::<ClientAddress>());
    let is_known = context.good_sessions.has_address(address.copied());
    let permit = limits.unauthenticated.take(address.copied(), is_known)?;
    let charge = limits.rates.charge(address, parts.extensions.get(), failure)?;
    limits.look_ups.begin(charge, Some(permit)).await
}

/// Charges a refused credential to the client's address. The answer is `code`, or 429 if the failure budget is used up.
pub(super) fn refuse(context: &Context, parts: &Parts, code: Code) -> Problem {
    context.limits.rates.charge_refused(parts).err().map_or_else(|| Problem::of(code), Problem::from)
}
