//! The bodies of the routes of instances, and the address that they give.

use regua_domain::{InstanceId, InstanceName, Sealed};
use regua_evolution::{InstanceAddress, InvalidAddress, Token};
use regua_secrets::Place;

use crate::routes::kit::*;

body! {
    pub(super) struct NewInstanceRequest {
        /// The instance's name at the gateway.
        name: InstanceName,
        /// The Evolution API server.
        #[example = "https://evolution.acme.example"]
        base_url: Line<0, 500>,
        /// The instance's token, or the server's global key.
        token: Line<1, 500>,
        /// Default: the tenant's.
        messages_per_minute: Option<Number<1, 6_000_000>>,
        /// Default: the tenant's.
        daily_cap: Option<Number<1, 2_147_483_647>>,
        /// More than 1 only for an instance that may send fast. Default: 1.
        lane_concurrency: Number<1, 256, i16> = 1,
    }
}

body! {
    /// The new address, token and rate of an instance. The name cannot be changed.
    pub(super) struct InstanceRequest {
        /// The Evolution API server.
        base_url: Line<0, 500>,
        /// Default: the present token.
        token: Option<Line<1, 500>>,
        /// Default: the tenant's.
        messages_per_minute: Option<Number<1, 6_000_000>>,
        /// Default: the tenant's.
        daily_cap: Option<Number<1, 2_147_483_647>>,
        /// More than 1 only for an instance that may send fast. Default: 1.
        lane_concurrency: Number<1, 256, i16> = 1,
    }
}

impl Member for InstanceName {
    type Value = Self;

    fn schema() -> Schema {
        text().pattern(Some("^[A-Za-z0-9._-]{1,64}$")).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Self> {
        field.parsed(64, |text| text.parse().ok(), "invalid_name", &Text::of("instance-name-invalid"))
    }
}

/// The address of an instance; none without server or token. Refuses an invalid one, and one outside the allowed
/// networks. Where the name has an error, the other parts are checked with another name.
pub(super) fn check_address<T: Body>(
    body: &mut Draft<T>,
    context: &Context,
    base_url: Option<String>,
    name: Option<&InstanceName>,
    token: Option<String>,
) -> Option<InstanceAddress> {
    let (base_url, token) = (base_url?, token?);
    let name = name.map_or("instance", InstanceName::as_str);
    let parsed = Token::parse(&token).and_then(|token| InstanceAddress::parse(&base_url, name, token));
    let (field, code, text) = match parsed {
        Ok(address) if address.is_allowed(&context.settings.gateway_networks) => return Some(address),
        Ok(address) => {
            let text = Text::of("instance-address-not-allowed").with("server", address.server());
            ("base_url", "address_not_allowed", text)
        }
        Err(InvalidAddress::BaseUrl) => ("base_url", "invalid_url", Text::of("instance-address-invalid")),
        Err(InvalidAddress::Name) => ("name", "invalid_name", Text::of("instance-name-not-in-path")),
        Err(InvalidAddress::Token) => ("token", "invalid_token", Text::of("instance-token-not-in-header")),
    };
    body.refuse(field, code, &text);
    None
}

pub(super) fn seal(access: &Principal, id: InstanceId, token: &str) -> Result<Sealed, Problem> {
    let place = Place::instance_token(access.tenant_id, id);
    access.context.secrets.seal(&place, token).map_err(Problem::internal)
}
