//! What the API needs inside of this process to reach gateways: keys that open tokens, and where gateways may be.

use clap::Args;
use regua_boot::SecretArguments;
use regua_evolution::AllowedNetworks;

use crate::admin::Gateways;

/// What is needed to call a gateway. Over HTTP the API has its own.
#[derive(Args, Debug)]
pub(crate) struct GatewayArguments {
    #[command(flatten)]
    secrets: SecretArguments,
    /// Networks in which gateways may be besides public addresses, such as 10.0.0.0/8,fd00::/8; any: everywhere
    #[arg(long, env = "GATEWAY_ALLOW_NETWORKS", default_value_t, value_name = "NETWORKS")]
    gateway_allow_networks: AllowedNetworks,
}

impl GatewayArguments {
    /// Both.
    pub(super) fn gateways(&self) -> anyhow::Result<Gateways> {
        Ok(Gateways { secrets: self.secrets.keys()?, networks: self.gateway_allow_networks.clone() })
    }
}
