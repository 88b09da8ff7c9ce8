//! Where one instance is reached and with which token. An address can only be made by parsing, so that no name can
//! change the path of a request and no query string can ever be sent.

use std::fmt;

use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::networks::AllowedNetworks;

/// The key that Evolution API calls an instance's `hash`, or the server's global key. Debug shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(HeaderValue);

impl Token {
    /// Parses a key as it would be written in the `apikey` header.
    ///
    /// # Errors
    /// [`InvalidAddress::Token`] when it is empty or holds characters that no HTTP header may carry.
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

/// One instance (one WhatsApp number) at one Evolution API server, with the token that may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceAddress {
    base_url: Url,
    /// Made once, because every message goes there.
    send_text: Url,
    name: String,
    token: Token,
}

impl InstanceAddress {
    /// Parses the server's base URL (a path is kept, for servers behind a prefix) and the instance's name.
    ///
    /// # Errors
    /// [`InvalidAddress`] says which part cannot be used: a base URL that is not plain http or https, or that carries
    /// credentials, a query or a fragment; a name that is empty or would be read as a step in the path.
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

    /// The instance's name, as Evolution knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server: scheme, host in lower case, port where it is not the scheme's own, and path without a slash at its end.
    /// Two instances are at one server when this is the same; that two names lead to one server cannot be seen.
    pub fn server(&self) -> &str {
        self.base_url.as_str().trim_end_matches('/')
    }

    /// Whether the server may be called, as far as its address says so itself: what a name leads to is seen when it is
    /// connected to.
    pub fn is_allowed(&self, networks: &AllowedNetworks) -> bool {
        networks.allow_url(&self.base_url)
    }

    pub(crate) fn base_url(&self) -> &Url {
        &self.base_url
    }

    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    /// The URL of a route of this instance. The name is one percent-encoded segment, and there is never a query:
    /// Evolution lets query parameters overwrite the instance *after* it checked the key.
    pub(crate) fn url(&self, group: &str, action: &str) -> Url {
        url(&self.base_url, group, action, &self.name)
    }

    /// [`Self::url`] of sendText.
    pub(crate) fn send_text(&self) -> Url {
        self.send_text.clone()
    }
}

fn url(base_url: &Url, group: &str, action: &str, name: &str) -> Url {
    let mut url = base_url.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend([group, action, name]);
    }
    url
}

/// The part of an address that cannot be used. It never repeats what it refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Not an http or https URL, or one with credentials, a query or a fragment.
    #[error("the server's address is not a plain http or https URL")]
    BaseUrl,
    /// Empty, or a dot segment.
    #[error("the instance's name cannot stand in a path")]
    Name,
    /// Empty, or not fit for a header.
    #[error("the instance's token cannot stand in a header")]
    Token,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(base_url: &str, name: &str) -> Result<InstanceAddress, InvalidAddress> {
        InstanceAddress::parse(base_url, name, Token::parse("segredo").unwrap())
    }

    #[test]
    fn a_name_is_one_segment_whatever_it_holds() {
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
    fn an_address_that_could_reach_something_else_is_refused() {
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
    fn one_server_is_known_however_it_is_written() {
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
    fn debug_never_shows_the_token() {
        assert!(!format!("{:?}", address("http://evo", "matriz").unwrap()).contains("segredo"));
    }
}
