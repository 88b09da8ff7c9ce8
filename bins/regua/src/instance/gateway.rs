//! How the commands reach gateways: with tokens that they open, and only where gateways may be.

use anyhow::{Context, ensure};
use clap::Args;
use regua_boot::{Place, SecretArguments};
use regua_domain::{InstanceId, Sealed, TenantId};
use regua_evolution::{
    AllowedNetworks, ClientSettings, ConnectionState, EvolutionClient, InstanceAddress, Reason, Token,
};
use regua_store::instances::Instance;

/// What is needed to call a gateway.
#[derive(Args, Debug)]
pub(crate) struct GatewayArguments {
    #[command(flatten)]
    secrets: SecretArguments,
    /// Networks in which gateways may be besides public addresses, such as 10.0.0.0/8,fd00::/8; any: everywhere
    #[arg(long, env = "GATEWAY_ALLOW_NETWORKS", default_value_t, value_name = "NETWORKS")]
    gateway_allow_networks: AllowedNetworks,
}

impl GatewayArguments {
    /// The client.
    pub(super) fn client(&self) -> anyhow::Result<EvolutionClient> {
        Ok(EvolutionClient::new(ClientSettings::with_networks(self.gateway_allow_networks.clone()))?)
    }

    /// Where a number will be reached that is about to be added.
    pub(super) fn new_address(&self, url: &str, name: &str, token: &str) -> anyhow::Result<InstanceAddress> {
        let address = address(url, name, token)?;
        ensure!(
            address.is_allowed(&self.gateway_allow_networks),
            "{} is no public address: if the gateway is meant to be there, set GATEWAY_ALLOW_NETWORKS, here and for \
             regua-worker and regua-periodic, to a network that has it",
            address.server()
        );
        Ok(address)
    }

    /// Its token, sealed for its row.
    pub(super) fn seal(&self, tenant: TenantId, instance: InstanceId, token: &str) -> anyhow::Result<Sealed> {
        Ok(self.secrets.keys()?.seal(&Place::instance_token(tenant, instance), token)?)
    }

    /// Where a number is reached.
    pub(super) fn address_of(&self, tenant: TenantId, one: &Instance) -> anyhow::Result<InstanceAddress> {
        let place = Place::instance_token(tenant, one.instance_id);
        let token = self.secrets.keys()?.open_or_plain(&place, &one.token);
        let token = token.with_context(|| format!("the token of instance {} cannot be read", one.name))?;
        address(&one.base_url, &one.name, &token)
    }

    /// A number's state and, where it is not reached, why.
    pub(super) async fn ask(
        &self,
        gateway: &EvolutionClient,
        tenant: TenantId,
        one: &Instance,
    ) -> (&'static str, Option<String>) {
        let address = match self.address_of(tenant, one) {
            Ok(address) => address,
            Err(error) => return ("unreachable", Some(format!("{error:#}"))),
        };
        match gateway.connection_state(&address).await {
            ConnectionState::Open => ("open", None),
            ConnectionState::Connecting => ("connecting", None),
            ConnectionState::Close => ("close", None),
            ConnectionState::Unreachable { reason: Reason::AddressNotAllowed } => {
                ("unreachable", Some("its address is not allowed: see GATEWAY_ALLOW_NETWORKS".to_owned()))
            }
            ConnectionState::Unreachable { reason } => ("unreachable", Some(reason.to_string())),
        }
    }
}

fn address(url: &str, name: &str, token: &str) -> anyhow::Result<InstanceAddress> {
    let address = Token::parse(token).and_then(|token| InstanceAddress::parse(url, name, token));
    address.with_context(|| format!("instance {name}: check --url, --name and --token"))
}
