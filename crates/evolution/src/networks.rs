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

/// The addresses that gateways may have: all public ones, and the networks that the operator adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedNetworks(Allowed);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    Any,
    PublicAnd(Arc<[IpNetwork]>),
}

impl Default for AllowedNetworks {
    fn default() -> Self {
        Self(Allowed::PublicAnd(Arc::new([])))
    }
}

impl AllowedNetworks {
    /// Every address.
    pub const fn any() -> Self {
        Self(Allowed::Any)
    }

    /// Public addresses and the loopback, on which the sandbox of development and tests listens.
    pub fn with_loopback() -> Self {
        let networks = ["127.0.0.0/8", "::1/128"].map(network);
        Self(Allowed::PublicAnd(networks.into_iter().flatten().collect()))
    }

    /// Whether a gateway may be at this address.
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = unmapped(address);
        match &self.0 {
            Allowed::Any => true,
            Allowed::PublicAnd(networks) => is_public(address) || networks.iter().any(|one| one.contains(address)),
        }
    }

    /// Whether a URL may be called. A host name passes: its addresses are checked when it is resolved.
    pub fn allow_url(&self, url: &Url) -> bool {
        let literal = url.host_str().map(|host| host.trim_matches(['[', ']'])).and_then(|host| host.parse().ok());
        literal.is_none_or(|address| self.allow(address))
    }
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
#[error("{0:?} is not a network: write any, or networks separated by commas, such as 10.0.0.0/8,fd00::/8")]
pub struct InvalidNetworks(String);

impl FromStr for AllowedNetworks {
    type Err = InvalidNetworks;

    /// `any`, or networks in CIDR notation separated by commas; an empty text adds none.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "any" {
            return Ok(Self::any());
        }
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let networks: Result<Vec<_>, _> =
            parts.map(|part| network(part).ok_or_else(|| InvalidNetworks(part.to_owned()))).collect();
        Ok(Self(Allowed::PublicAnd(networks?.into())))
    }
}

impl fmt::Display for AllowedNetworks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Allowed::Any => f.write_str("any"),
            Allowed::PublicAnd(networks) => {
                f.write_str(&networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
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
    fn every_range_of_the_tables_parses() {
        for text in NOT_PUBLIC.iter().chain(&NOT_GLOBAL).chain(&[GLOBAL_UNICAST]) {
            assert!(network(text).is_some(), "{text}");
        }
    }

    #[test]
    fn networks_round_trip_through_text() {
        for text in ["", "any", "10.0.0.0/8,fd00::/8"] {
            assert_eq!(text.parse::<AllowedNetworks>().unwrap().to_string(), text);
        }
        let refused = "10.0.0.0/8,intranet".parse::<AllowedNetworks>().unwrap_err().to_string();
        assert!(refused.contains("intranet"), "{refused}");
    }
}
