//! The text of a network from which an API key may be used.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::routes::kit::Text;

/// Parses a network or one address. An address with a prefix that cuts it off is refused: `127.0.0.1/0` would mean every
/// address, and its author most likely means another network.
pub(super) fn parse_network(text: &str) -> Result<IpNetwork, Text> {
    let parsed: IpNetwork = text.parse().map_err(|_| Text::of("key-network-invalid"))?;
    let address: IpAddr = parsed.network();
    if address == parsed.ip() {
        return Ok(parsed);
    }
    let network = format!("{address}/{}", parsed.prefix());
    Err(Text::of("key-network-host-bits").with("text", text).with("network", network).with("address", parsed.ip()))
}
