//! The addresses that a gateway may have. Users enter an instance's base URL; without this check the URL could make the
//! fleet post to the cloud's metadata service, to the database, or to any other server that trusts this machine.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use ipnetwork::IpNetwork;
use reqwest::Url;

/// IPv4 addresses that are not public, by IANA's registry of special-purpose addresses.
const NOT_PUBLIC: [&str; 16] = [
    "0.0.0.0/8",       // this network
    "10.0.0.0/8",      // private
    "100.64.0.0/10",   // carrier-grade NAT
    "127.0.0.0/8",     // loopback
    "169.254.0.0/16",  // link-local, the clouds' metadata among it
    "172.16.0.0/12",   // private
    "192.0.0.0/24",    // protocol assignments
    "192.0.2.0/24",    // documentation
    "192.31.196.0/24", // AS112
    "192.88.99.0/24",  // 6to4 relays
    "192.168.0.0/16",  // private
    "198.18.0.0/15",   // benchmarks
    "198.51.100.0/24", // documentation
    "203.0.113.0/24",  // documentation
    "224.0.0.0/4",     // multicast
    "240.0.0.0/4",     // reserved, broadcast
];

/// All other IPv6 addresses are special: loopback, link-local, unique local, multicast, embedded IPv4.
const GLOBAL_UNICAST: &str = "2000::/3";

/// Special ranges of [`GLOBAL_UNICAST`].
const NOT_GLOBAL: [&str; 4] = [
    "2001::/23",     // protocol assignments, Teredo among them
    "2001:db8::/32", // documentation
    "2002::/16",     // 6to4: an embedded IPv4 address
    "3fff::/20",     // documentation
];

/// The addresses that gateways may have: all public ones, and the networks and servers that the operator adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedNetworks(Allowed);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    Any,
    PublicAnd { networks: Arc<[IpNetwork]>, servers: Arc<[Server]> },
}

/// A server inside, at whatever address its name has: the host as a URL writes it, and a port.
type Server = (String, u16);

impl Default for AllowedNetworks {
    fn default() -> Self {
        Self::public_and(Vec::new(), Vec::new())
    }
}

impl AllowedNetworks {
    /// Every address.
    pub const fn any() -> Self {
        Self(Allowed::Any)
    }

    fn public_and(networks: Vec<IpNetwork>, servers: Vec<Server>) -> Self {
        Self(Allowed::PublicAnd { networks: networks.into(), servers: servers.into() })
    }

    /// Public addresses and the loopback, on which the sandbox of development and tests listens.
    pub fn with_loopback() -> Self {
        let networks = ["127.0.0.0/8", "::1/128"].map(network);
        Self::public_and(networks.into_iter().flatten().collect(), Vec::new())
    }

    /// Whether a gateway may be at this address.
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = unmapped(address);
        match &self.0 {
            Allowed::Any => true,
            Allowed::PublicAnd { networks, .. } => {
                is_public(address) || networks.iter().any(|one| one.contains(address))
            }
        }
    }

    /// Whether the operator added a server of this host, whose addresses are then not checked.
    pub(crate) fn has_server_of(&self, host: &str) -> bool {
        self.servers().iter().any(|(name, _)| name == host)
    }

    fn servers(&self) -> &[Server] {
        match &self.0 {
            Allowed::Any => &[],
            Allowed::PublicAnd { servers, .. } => servers,
        }
    }

    /// Whether a URL may be called. A host name passes: its addresses are checked when it is resolved. If the
    /// operator added servers of a host, its other ports are not allowed.
    pub fn allow_url(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        if self.has_server_of(host) {
            return self
                .servers()
                .iter()
                .any(|(name, port)| name == host && url.port_or_known_default() == Some(*port));
        }
        let literal = host.trim_matches(['[', ']']).parse();
        literal.map_or(true, |address| self.allow(address))
    }
}

/// Parses `host:port`.
fn server(text: &str) -> Option<Server> {
    let port = text.rsplit_once(':')?.1.parse().ok()?;
    let url = Url::parse(&format!("http://{text}/")).ok()?;
    let is_plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    is_plain.then(|| url.host_str().map(|host| (host.to_owned(), port))).flatten()
}

fn network(text: &str) -> Option<IpNetwork> {
    text.parse().ok()
}

/// An IPv4 address in IPv6 notation connects to the IPv4 address.
fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    let is_in = |text: &str| network(text).is_some_and(|network| network.contains(address));
    match address {
        IpAddr::V4(_) => !NOT_PUBLIC.iter().any(|text| is_in(text)),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => false,
        IpAddr::V6(_) => is_in(GLOBAL_UNICAST) && !NOT_GLOBAL.iter().any(|text| is_in(text)),
    }
}

/// A text that is not a list of networks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network and no host:port: write any, or a list such as 10.0.0.0/8,fd00::/8,evolution:8080")]
pub struct InvalidNetworks(String);

impl FromStr for AllowedNetworks {
    type Err = InvalidNetworks;

    /// `any`, or networks in CIDR notation and servers as `host:port`, separated by commas; an empty text adds none.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "any" {
            return Ok(Self::any());
        }
        let (mut networks, mut servers) = (Vec::new(), Vec::new());
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match (network(part), server(part)) {
                (Some(network), _) => networks.push(network),
                (None, Some(server)) => servers.push(server),
                (None, None) => return Err(InvalidNetworks(part.to_owned())),
            }
        }
        Ok(Self::public_and(networks, servers))
    }
}

impl fmt::Display for AllowedNetworks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Allowed::Any => f.write_str("any"),
            Allowed::PublicAnd { networks, servers } => {
                let servers = servers.iter().map(|(host, port)| format!("{host}:{port}"));
                let parts: Vec<_> = networks.iter().map(ToString::to_string).chain(servers).collect();
                f.write_str(&parts.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(networks: &str, url: &str) -> bool {
        let url = Url::parse(url).unwrap();
        networks.parse::<AllowedNetworks>().unwrap().allow_url(&url)
    }

    #[test]
    fn only_public_addresses_are_allowed_by_default() {
        let refused = [
            "http://127.0.0.1:5432",
            "http://127.1/",
            "http://2130706433/", // 127.0.0.1 in decimal
            "http://0177.0.0.1/", // in octal
            "http://0x7f.1/",     // in hexadecimal
            "http://0/",          // 0.0.0.0
            "http://10.1.2.3",
            "http://100.64.0.1",
            "http://169.254.169.254/latest/meta-data",
            "http://169.254.169.254./", // a dot at the end
            "http://172.16.0.1",
            "http://172.31.255.255",
            "http://192.168.1.1",
            "http://192.0.2.1",
            "http://198.18.0.1",
            "http://203.0.113.9",
            "http://224.0.0.1",
            "http://255.255.255.255",
            "http://[::]/",
            "http://[::1]:9090/",
            "http://[::ffff:127.0.0.1]/", // IPv4 in IPv6
            "http://[::ffff:a9fe:a9fe]/", // 169.254.169.254
            "http://[::127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/", // through NAT64
            "http://[fe80::1]/",
            "http://[fc00::1]/",
            "http://[fd12:3456::1]/",
            "http://[ff02::1]/",
            "http://[2001::1]/",
            "http://[2001:db8::1]/",
            "http://[2002:7f00:1::]/", // 6to4 of 127.0.0.1
            "http://１２７.０.０.１/", // full-width digits
        ];
        for url in refused {
            assert!(!allows("", url), "{url}");
            assert!(allows("any", url), "{url}");
        }
        let public = ["http://8.8.8.8", "https://[2606:4700::1111]/", "http://172.32.0.1", "http://100.128.0.1"];
        for url in public.into_iter().chain(["https://evolution.example", "http://localhost:8080"]) {
            assert!(allows("", url), "{url}: a name is checked when it is resolved");
        }
    }

    #[test]
    fn configured_networks_are_allowed_and_no_others() {
        let networks = "10.0.0.0/8, fd00::/8";
        assert!(allows(networks, "http://10.9.9.9") && allows(networks, "http://[::ffff:10.9.9.9]"));
        assert!(allows(networks, "http://[fd12::1]") && allows(networks, "http://8.8.8.8"));
        assert!(!allows(networks, "http://127.0.0.1") && !allows(networks, "http://192.168.0.1"));
        let loopback = AllowedNetworks::with_loopback();
        assert!(loopback.allow([127, 0, 0, 1].into()) && loopback.allow(Ipv6Addr::LOCALHOST.into()));
        assert!(!loopback.allow([10, 0, 0, 1].into()));
    }

    #[test]
    fn added_server_is_allowed_at_its_port_and_no_other_port_or_host_is() {
        let networks = "evolution:8080,10.0.0.7:80";
        for url in ["http://evolution:8080", "http://EVOLUTION:8080/", "http://10.0.0.7", "http://8.8.8.8:5432"] {
            assert!(allows(networks, url), "{url}");
        }
        for url in ["http://evolution:5432", "https://evolution", "http://10.0.0.7:5432", "http://10.0.0.8"] {
            assert!(!allows(networks, url), "{url}");
        }
        let networks: AllowedNetworks = networks.parse().unwrap();
        assert!(networks.has_server_of("evolution") && !networks.has_server_of("postgres"));
    }

    #[test]
    fn every_range_of_the_tables_parses() {
        for text in NOT_PUBLIC.iter().chain(&NOT_GLOBAL).chain(&[GLOBAL_UNICAST]) {
            assert!(network(text).is_some(), "{text}");
        }
    }

    #[test]
    fn networks_round_trip_through_text() {
        for text in ["", "any", "10.0.0.0/8,fd00::/8", "10.0.0.0/8,evolution:8080,[fd00::1]:80"] {
            assert_eq!(text.parse::<AllowedNetworks>().unwrap().to_string(), text);
        }
        let refused = "10.0.0.0/8,intranet".parse::<AllowedNetworks>().unwrap_err().to_string();
        assert!(refused.contains("intranet"), "{refused}");
        for text in ["evolution:", "evolution:99999", "evolution:80/path", "user@evolution:80", ":80"] {
            assert!(text.parse::<AllowedNetworks>().is_err(), "{text}");
        }
    }
}
