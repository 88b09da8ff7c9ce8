//! Looking up a gateway's name. Whatever a name resolves to, only addresses that a gateway may have are ever connected to:
//! it is decided here, where the connection is made, because a name may resolve to something else each time.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::networks::AllowedNetworks;

/// The system's resolver, of whose answers only the allowed ones count.
pub(crate) struct Guarded(pub(crate) AllowedNetworks);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.0.clone();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(chosen(&networks, found)?)
        })
    }
}

/// Those that may be connected to; an error where there are only others.
fn chosen(networks: &AllowedNetworks, found: Vec<SocketAddr>) -> Result<Addrs, NotAllowed> {
    let has_any = !found.is_empty();
    let allowed: Vec<_> = found.into_iter().filter(|address| networks.allow(address.ip())).collect();
    if has_any && allowed.is_empty() { Err(NotAllowed) } else { Ok(Box::new(allowed.into_iter())) }
}

/// A name leads only to addresses that no gateway may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotAllowed;

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name leads to addresses that GATEWAY_ALLOW_NETWORKS does not allow")
    }
}

impl Error for NotAllowed {}

impl NotAllowed {
    /// Whether it is at the bottom of this error.
    pub(crate) fn is_cause_of(error: &(dyn Error + 'static)) -> bool {
        std::iter::successors(Some(error), |error| (*error).source()).any(|error| error.is::<Self>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_name_resolves_to_only_the_allowed_is_connected_to() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let public = AllowedNetworks::default();
        let mixed = addresses(&["127.0.0.1:0", "8.8.8.8:0", "[fd00::1]:0"]);
        assert_eq!(chosen(&public, mixed).ok().unwrap().collect::<Vec<_>>(), addresses(&["8.8.8.8:0"]));
        assert!(chosen(&public, addresses(&["10.0.0.1:0", "[::ffff:10.0.0.1]:0"])).is_err());
        assert_eq!(chosen(&public, Vec::new()).ok().unwrap().count(), 0, "a name without an address is another error");
    }
}
