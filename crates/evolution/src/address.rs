//! The address of an instance and its token. An address is made only by parsing, so that no name can change the path
//! of a request or add a query string.

use std::fmt;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::networks::AllowedNetworks;

/// An instance's key (`hash` in Evolution API), or the server's global key. `Debug` masks it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(HeaderValue);

impl Token {
    /// Parses the value of the `apikey` header: not empty, and only characters that an HTTP header may hold.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        if text.is_empty() {
            return Err(InvalidAddress::Token);
        }
        let mut value = HeaderValue::from_str(text).map_err(|_| InvalidAddress::Token)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// One instance (one WhatsApp number) at one Evolution API server, with its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceAddress {
    base_url: Url,
    /// Built once, because every send uses it.
    send_text: Url,
    name: String,
    token: Token,
}

impl InstanceAddress {
    /// Parses the server's base URL, which may have a path, and the instance's name.
    pub fn parse(base_url: &str, name: &str, token: Token) -> Result<Self, InvalidAddress> {
        let base_url = Url::parse(base_url).map_err(|_| InvalidAddress::BaseUrl)?;
        let plain = base_url.username().is_empty()
            && base_url.password().is_none()
            && base_url.query().is_none()
            && base_url.fragment().is_none();
        if !plain || !matches!(base_url.scheme(), "http" | "https") || base_url.cannot_be_a_base() {
            return Err(InvalidAddress::BaseUrl);
        }
        if matches!(name.trim(), "" | "." | "..") {
            return Err(InvalidAddress::Name);
        }
        let send_text = url(&base_url, "message", "sendText", name);
        Ok(Self { base_url, send_text, name: name.to_owned(), token })
    }

    /// The instance's name at Evolution.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server: scheme, host in lower case, port unless it is the scheme's default, and path without a final slash.
    /// Instances of one server have equal values, unless the server has several host names.
    pub fn server(&self) -> &str {
        self.base_url.as_str().trim_end_matches('/')
    }

    /// Whether this server is the one at `base_url`, in any spelling of one host: with http or https, with or without a
    /// default port, with a dot at the end, as an IPv4 address inside an IPv6 address. Two host names of one server
    /// differ.
    pub fn is_at(&self, base_url: &str) -> bool {
        Url::parse(base_url).is_ok_and(|other| spelling(&other) == spelling(&self.base_url))
    }

    /// Whether the server may be called. A host name passes: its addresses are checked when it is resolved.
    pub fn is_allowed(&self, networks: &AllowedNetworks) -> bool {
        networks.allow_url(&self.base_url)
    }

    pub(crate) fn base_url(&self) -> &Url {
        &self.base_url
    }

    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    /// The URL of a route of this instance. The name is one percent-encoded segment. The URL has no query, because
    /// Evolution lets query parameters replace the instance *after* it has checked the key.
    pub(crate) fn url(&self, group: &str, action: &str) -> Url {
        url(&self.base_url, group, action, &self.name)
    }

    pub(crate) fn send_text(&self) -> Url {
        self.send_text.clone()
    }
}

/// Host, port and path of a server in the one spelling that is compared. [`Url`] has lower-cased the host already.
fn spelling(url: &Url) -> (String, Option<u16>, String) {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let host = address.map_or_else(|_| host.to_owned(), |address| address.to_canonical().to_string());
    let port = url.port().filter(|port| ![80, 443].contains(port));
    let path = percent_decode_str(url.path()).decode_utf8_lossy().into_owned();
    let path = path.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/");
    (host, port, path)
}

fn url(base_url: &Url, group: &str, action: &str, name: &str) -> Url {
    let mut url = base_url.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend([group, action, name]);
    }
    url
}

/// The part of an address that is invalid. The error never quotes the refused text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Not an http or https URL, or one with credentials, a query or a fragment.
    #[error("the server's address is not a plain http or https URL")]
    BaseUrl,
    /// Empty, or a dot segment.
    #[error("the instance's name cannot be a path segment")]
    Name,
    /// Empty, or with characters that a header must not hold.
    #[error("the instance's token cannot be a header value")]
    Token,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(base_url: &str, name: &str) -> Result<InstanceAddress, InvalidAddress> {
        InstanceAddress::parse(base_url, name, Token::parse("segredo").unwrap())
    }

    #[test]
    fn instance_name_is_one_path_segment() {
        let cases = [
            ("http://evo:8080", "matriz", "http://evo:8080/message/sendText/matriz"),
            ("http://evo:8080/", "a/b", "http://evo:8080/message/sendText/a%2Fb"),
            (
                "https://host/evolution",
                "a?instanceName=b",
                "https://host/evolution/message/sendText/a%3FinstanceName=b",
            ),
            (
                "https://host/evolution/",
                "Filial São Paulo",
                "https://host/evolution/message/sendText/Filial%20S%C3%A3o%20Paulo",
            ),
            ("http://evo", "100%#1", "http://evo/message/sendText/100%25%231"),
            ("http://evo", "%2e%2e", "http://evo/message/sendText/%252e%252e"),
        ];
        for (base_url, name, expected) in cases {
            let url = address(base_url, name).unwrap().send_text();
            assert_eq!(url.as_str(), expected);
            assert_eq!(url.query(), None);
        }
    }

    #[test]
    fn ambiguous_address_is_refused() {
        for base_url in ["", "evo:8080", "ftp://evo", "http://user:secret@evo", "http://evo?x=1", "http://evo#x"] {
            assert_eq!(address(base_url, "matriz"), Err(InvalidAddress::BaseUrl), "{base_url:?}");
        }
        for name in ["", " ", ".", ".."] {
            assert_eq!(address("http://evo", name), Err(InvalidAddress::Name), "{name:?}");
        }
        for token in ["", "line\nbreak"] {
            assert_eq!(Token::parse(token), Err(InvalidAddress::Token), "{token:?}");
        }
    }

    #[test]
    fn spellings_of_one_server_are_equal() {
        let server = |base_url| address(base_url, "matriz").unwrap().server().to_owned();
        for written in
            ["https://Evo.Example", "https://evo.example/", "https://evo.example:443", "HTTPS://evo.example//"]
        {
            assert_eq!(server(written), "https://evo.example", "{written}");
        }
        assert_eq!(server("http://evo:8080/a/"), "http://evo:8080/a");
        assert_eq!(server("http://2130706433"), "http://127.0.0.1");
    }

    #[test]
    fn server_is_found_in_every_spelling_and_no_other_server_is() {
        let same = [
            ("http://10.0.0.1", "http://[::ffff:10.0.0.1]"),
            ("http://10.0.0.1:8080", "https://[::ffff:a00:1]:8080/"),
            ("http://evo.example", "https://evo.example"),
            ("http://evo.example:443", "https://EVO.example."),
            ("http://evo.example:80/", "https://evo.example:443//"),
            ("http://evo.example./a/b", "http://evo.example/%61//b/"),
            ("http://2130706433", "http://127.0.0.1"),
            ("https://são.example", "https://xn--so-sia.example"),
        ];
        for (one, other) in same {
            assert!(address(one, "matriz").unwrap().is_at(other), "{one} {other}");
            assert!(address(other, "matriz").unwrap().is_at(one), "{other} {one}");
        }
        let different = [
            ("http://evo.example", "http://evo.example:8080"),
            ("http://evo.example", "http://evo2.example"),
            ("http://evo.example/a", "http://evo.example/b"),
            ("http://10.0.0.1", "http://10.0.0.2"),
            ("http://evo.example", "not a URL"),
        ];
        for (one, other) in different {
            assert!(!address(one, "matriz").unwrap().is_at(other), "{one} {other}");
        }
    }

    #[test]
    fn debug_never_shows_the_token() {
        assert!(!format!("{:?}", address("http://evo", "matriz").unwrap()).contains("segredo"));
    }
}
