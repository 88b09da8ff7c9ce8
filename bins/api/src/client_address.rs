//! Where a request comes from: the connection's other end, or what proxies that are trusted say was theirs.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderValue};
use ipnetwork::IpNetwork;

const FORWARDED_FOR: &str = "x-forwarded-for";
/// Whoever has one IPv6 address has all of its /64.
const IPV6_SITE_BITS: u32 = 64;

/// A caller's address. Every request has one in its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// A socket that listens for both versions of IP shows `::ffff:10.0.0.1` for 10.0.0.1.
    pub fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The address itself.
    pub const fn ip(self) -> IpAddr {
        self.0
    }

    /// What counts as one caller where callers are counted.
    pub(crate) fn site(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(address) => {
                let site = address.to_bits() >> (128 - IPV6_SITE_BITS) << (128 - IPV6_SITE_BITS);
                IpAddr::V6(Ipv6Addr::from_bits(site))
            }
        }
    }
}

/// Proxies whose word about the address before them is taken. Empty: nobody's is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNetwork>);

impl FromStr for TrustedProxies {
    type Err = String;

    /// Networks with commas between them.
    fn from_str(text: &str) -> Result<Self, String> {
        let networks = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        let parsed = networks.map(|text| {
            text.parse().map_err(|_| format!("{text:?} is no network: write addresses such as 10.0.0.0/8,fd00::/8"))
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&networks.join(","))
    }
}

impl TrustedProxies {
    /// Each proxy adds the address that it was called from at the right of `X-Forwarded-For`. So the list is read from
    /// the right, and the first address that is no trusted proxy's is the caller's; whatever stands left of it the caller
    /// may have written itself. What is no address says nothing: the last trusted one is answered.
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

    /// Whether it is one of them.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// What is no text is no address either.
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
    fn nobodys_word_is_taken_unless_it_is_trusted() {
        assert_eq!(client("", "203.0.113.9", &["10.0.0.1"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8", "203.0.113.9", &["10.0.0.1"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn the_list_is_read_from_the_right_up_to_the_first_stranger() {
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
    fn what_is_no_address_ends_the_walk_at_the_last_trusted_one() {
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
    fn one_ipv6_site_is_one_caller() {
        let site = |text: &str| ClientAddress::new(text.parse().unwrap()).site().to_string();
        assert_eq!(site("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(site("::ffff:203.0.113.9"), "203.0.113.9");
    }

    #[test]
    fn networks_are_read_and_what_is_none_is_named() {
        let read: TrustedProxies = "10.0.0.0/8, fd00::/8,127.0.0.1".parse().unwrap();
        assert_eq!(read.to_string(), "10.0.0.0/8,fd00::/8,127.0.0.1/32");
        assert!("10.0.0.0/8,proxy".parse::<TrustedProxies>().unwrap_err().contains("\"proxy\""));
    }
}
