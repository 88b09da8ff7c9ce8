//! Name resolution for gateways. The resolver returns only allowed addresses. It checks at each connection, because a
//! name may resolve to other addresses each time.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::local_errors;
use crate::networks::AllowedNetworks;

/// The system's resolver without the addresses that are not allowed. The client has checked the port.
pub(crate) struct FilteringResolver(pub(crate) AllowedNetworks);

impl Resolve for FilteringResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found: Vec<_> = found.map_err(|error| local_errors::probe().unwrap_or(error))?.collect();
            if networks.has_server_of(name.as_str()) {
                let addresses: Addrs = Box::new(found.into_iter());
                return Ok(addresses);
            }
            Ok(allowed_addresses(&networks, found)?)
        })
    }
}

fn allowed_addresses(networks: &AllowedNetworks, found: Vec<SocketAddr>) -> Result<Addrs, NotAllowed> {
    let has_any = !found.is_empty();
    let allowed: Vec<_> = found.into_iter().filter(|address| networks.allow(address.ip())).collect();
    if has_any && allowed.is_empty() { Err(NotAllowed) } else { Ok(Box::new(allowed.into_iter())) }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct NotAllowed;

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GATEWAY_ALLOW_NETWORKS allows none of the name's addresses")
    }
}

impl Error for NotAllowed {}

impl NotAllowed {
    pub(crate) fn is_cause_of(error: &(dyn Error + 'static)) -> bool {
        std::iter::successors(Some(error), |error| (*error).source()).any(|error| error.is::<Self>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolver_returns_only_allowed_addresses() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let public = AllowedNetworks::default();
        let mixed = addresses(&["127.0.0.1:0", "8.8.8.8:0", "[fd00::1]:0"]);
        assert_eq!(allowed_addresses(&public, mixed).ok().unwrap().collect::<Vec<_>>(), addresses(&["8.8.8.8:0"]));
        assert!(allowed_addresses(&public, addresses(&["10.0.0.1:0", "[::ffff:10.0.0.1]:0"])).is_err());
        let none = allowed_addresses(&public, Vec::new());
        assert_eq!(none.ok().unwrap().count(), 0, "a name without an address is another error");
    }
}
