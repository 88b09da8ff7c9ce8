//! The arguments of commands that call a gateway from this process. Over HTTP the API uses its own settings.

use clap::Args;
use regua_evolution::AllowedNetworks;
use regua_secrets::SecretArguments;

use crate::client::GatewayAccess;

#[derive(Args, Debug)]
pub(crate) struct GatewayArguments {
    #[command(flatten)]
    secrets: SecretArguments,
    /// Networks in which gateways may be, in addition to public addresses, such as 10.0.0.0/8,fd00::/8; any: everywhere
    #[arg(long, env = "GATEWAY_ALLOW_NETWORKS", default_value_t, value_name = "NETWORKS")]
    gateway_allow_networks: AllowedNetworks,
}

impl GatewayArguments {
    pub(super) fn gateways(&self) -> anyhow::Result<GatewayAccess> {
        Ok(GatewayAccess { secrets: self.secrets.keys()?, networks: self.gateway_allow_networks.clone() })
    }
}
