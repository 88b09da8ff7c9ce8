//! The client address of a request: the peer of the connection, or the address that trusted proxies report.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderValue};
use ipnetwork::IpNetwork;

const FORWARDED_FOR: &str = "x-forwarded-for";
/// The owner of one IPv6 address has its whole /64.
const IPV6_SITE_BITS: u8 = 64;
/// Providers give a customer a /64, a /56 or a /48. Failures are counted in each, at so many times the rate of a /64.
const IPV6_NETWORKS: [(u8, u32); 3] = [(IPV6_SITE_BITS, 1), (56, 4), (48, 16)];

/// The address of a client. Every request has one in its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// A dual-stack socket shows 10.0.0.1 as `::ffff:10.0.0.1`, which is normalized here.
    pub fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The address as an [`IpAddr`].
    pub const fn ip(self) -> IpAddr {
        self.0
    }

    /// The address that limits count by: an IPv4 address, or the /64 of an IPv6 address.
    pub(crate) fn site(self) -> IpAddr {
        self.site_network().ip()
    }

    /// [`Self::site`] as a network.
    pub(crate) fn site_network(self) -> IpNetwork {
        self.within(IPV6_SITE_BITS)
    }

    /// The networks in which failures of the address are counted, each with the factor of its rate.
    pub(crate) fn failure_networks(self) -> Vec<(IpNetwork, u32)> {
        match self.0 {
            IpAddr::V4(_) => vec![(self.site_network(), 1)],
            IpAddr::V6(_) => IPV6_NETWORKS.map(|(bits, factor)| (self.within(bits), factor)).to_vec(),
        }
    }

    /// The network of so many bits around an IPv6 address; an IPv4 address is a network of its own.
    fn within(self, bits: u8) -> IpNetwork {
        let IpAddr::V6(address) = self.0 else { return self.0.into() };
        let host_bits = 128 - u32::from(bits);
        let first = IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> host_bits << host_bits));
        IpNetwork::new(first, bits).unwrap_or_else(|_| first.into())
    }
}

/// Proxies whose `X-Forwarded-For` is trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNetwork>);

impl FromStr for TrustedProxies {
    type Err = String;

    /// Comma-separated networks.
    fn from_str(text: &str) -> Result<Self, String> {
        let networks = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        let parsed = networks.map(|text| {
            text.parse().map_err(|_| format!("{text:?} is not a network: write addresses such as 10.0.0.0/8,fd00::/8"))
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// The client of a request. Each proxy appends the address of its peer to `X-Forwarded-For`, so the list is read from
    /// the right, and the first address that is not a trusted proxy is the client, who may have forged the rest. A
    /// malformed entry ends the list: the client is then the last trusted address.
    pub(crate) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = ClientAddress::new(peer.ip());
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        let hops = lines.iter().rev().flat_map(|line| text(line).rsplit(',').map(str::trim));
        for hop in hops {
            if !self.contains(client.ip()) {
                break;
            }
            let Some(address) = address(hop) else { break };
            client = ClientAddress::new(address);
        }
        client
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// A line of the header; a malformed line becomes a malformed address.
fn text(line: &HeaderValue) -> &str {
    line.to_str().unwrap_or("?")
}

/// An address, with the port that some proxies add.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse().ok();
    text.parse::<SocketAddr>().map(|with_port| with_port.ip()).ok().or_else(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, peer: &str, lines: &[&str]) -> String {
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        let lines = lines
            .iter()
            .map(|line| (FORWARDED_FOR.parse().unwrap(), HeaderValue::from_bytes(line.as_bytes()).unwrap()));
        trusted.parse::<TrustedProxies>().unwrap().client(peer, &lines.collect()).ip().to_string()
    }

    #[test]
    fn header_of_an_untrusted_peer_is_ignored() {
        assert_eq!(client("", "203.0.113.9", &["10.0.0.1"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8", "203.0.113.9", &["10.0.0.1"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn forwarded_for_is_read_from_the_right_to_the_first_untrusted_address() {
        for (lines, expected) in [
            (&["198.51.100.7"] as &[_], "198.51.100.7"),
            (&["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
            (&["1.1.1.1, 198.51.100.7, 10.9.9.9"], "198.51.100.7"),
            (&["198.51.100.7", "10.9.9.9"], "198.51.100.7"),
            (&["198.51.100.7, 10.9.9.9", "10.8.8.8,10.7.7.7"], "198.51.100.7"),
            (&["10.3.3.3,10.2.2.2"], "10.3.3.3"),
            (&["198.51.100.7:5123"], "198.51.100.7"),
            (&["[2001:db8::7]:5123"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["::ffff:198.51.100.7"], "198.51.100.7"),
        ] {
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", lines), expected, "{lines:?}");
            assert_eq!(client("10.0.0.0/8", "::ffff:10.0.0.1", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn malformed_entry_makes_the_last_trusted_address_the_client() {
        for (lines, expected) in [
            (&["198.51.100.7, unknown"] as &[_], "10.0.0.1"),
            (&["198.51.100.7, unknown, 10.2.2.2"], "10.2.2.2"),
            (&["198.51.100.7, , 10.2.2.2"], "10.2.2.2"),
            (&["198.51.100.7", ""], "10.0.0.1"),
            (&["198.51.100.7", "caf\u{e9}"], "10.0.0.1"),
            (&["198.51.100.7.8"], "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn addresses_of_one_ipv6_site_are_counted_together() {
        let site = |text: &str| ClientAddress::new(text.parse().unwrap()).site().to_string();
        assert_eq!(site("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(site("::ffff:203.0.113.9"), "203.0.113.9");
    }

    #[test]
    fn failures_of_an_ipv6_address_are_counted_in_its_three_networks() {
        let networks = |text: &str| {
            let networks = ClientAddress::new(text.parse().unwrap()).failure_networks().into_iter();
            networks.map(|(network, factor)| format!("{network} x{factor}")).collect::<Vec<_>>()
        };
        assert_eq!(networks("::ffff:203.0.113.9"), ["203.0.113.9/32 x1"]);
        assert_eq!(
            networks("2001:db8:1:2345:3:4:5:6"),
            ["2001:db8:1:2345::/64 x1", "2001:db8:1:2300::/56 x4", "2001:db8:1::/48 x16"]
        );
    }

    #[test]
    fn networks_are_parsed_and_a_malformed_one_is_named() {
        let read: TrustedProxies = "10.0.0.0/8, fd00::/8,127.0.0.1".parse().unwrap();
        let networks: Vec<_> = read.0.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.0.0.0/8", "fd00::/8", "127.0.0.1/32"]);
        assert!("10.0.0.0/8,proxy".parse::<TrustedProxies>().unwrap_err().contains("\"proxy\""));
    }
}
