//! The HTTP client of the gateway: one pool, one request per call, no retries. `outcome` and `state` read the answers.

use std::time::Duration;

use regua_domain::PhoneNumber;
use reqwest::{Client, RequestBuilder, Response, redirect, retry};
use serde::Serialize;
use serde_json::json;

use crate::address::InstanceAddress;
use crate::history::{LookResult, MAX_PAGES, Search, read_page};
use crate::local_errors;
use crate::networks::AllowedNetworks;
use crate::outcome::{Outcome, Reply, outcome};
use crate::reason::Reason;
use crate::resolver::{FilteringResolver, NotAllowed};
use crate::state::{ConnectionState, connection_state};

/// Link previews are off: Evolution would fetch a URL of the text (a payment page) for up to 3 s before each send, and
/// would show the debtor the page that a server gets.
pub const LINK_PREVIEW: bool = false;

/// The longest answer that the client reads. A longer answer counts as [`Reply::Lost`].
pub const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// Node closes a connection after 5 s idle. The pool drops it a second earlier: a request that is written while the
/// server closes the connection would have outcome unknown.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// The time limits of the client, and the networks in which gateways may be.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// For one send, answer included; 150 s by default. It must exceed the sum of the requested delay, 60 s of number
    /// lookup and 30 s of frame write, because Evolution still sends after the caller has given up.
    pub send_timeout: Duration,
    /// For one request of any other route; 10 s by default.
    pub check_timeout: Duration,
    /// For a connection, TLS included; 10 s by default.
    pub connect_timeout: Duration,
    /// The addresses that may be connected to; public ones by default.
    pub networks: AllowedNetworks,
}

impl ClientSettings {
    /// The default time limits, and these networks.
    pub fn with_networks(networks: AllowedNetworks) -> Self {
        Self { networks, ..Self::default() }
    }
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            send_timeout: Duration::from_secs(150),
            check_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            networks: AllowedNetworks::default(),
        }
    }
}

/// The client could not be built, for example without usable root certificates.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for Evolution API could not be built")]
pub struct ClientError(#[from] reqwest::Error);

/// The client for all instances of all servers. Clones share one connection pool.
#[derive(Clone, Debug)]
pub struct EvolutionClient {
    http: Client,
    settings: ClientSettings,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SendText<'a> {
    number: &'a str,
    text: &'a str,
    link_preview: bool,
}

impl EvolutionClient {
    /// Builds a client without redirects, system proxy, retries and decompression, which connects only to allowed
    /// addresses.
    pub fn new(settings: ClientSettings) -> Result<Self, ClientError> {
        // The error says that the process has a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .dns_resolver(FilteringResolver(settings.networks.clone()))
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { http, settings })
    }

    /// Posts one text, once. The number is written as digits with the country code, because Evolution's Brazilian
    /// rules read the raw string.
    ///
    /// Dropping the future does not cancel the send: Evolution goes on without the caller.
    pub async fn send_text(&self, instance: &InstanceAddress, number: &PhoneNumber, text: &str) -> Outcome {
        let request = self
            .http
            .post(instance.send_text())
            .json(&SendText { number: number.digits(), text, link_preview: LINK_PREVIEW })
            .timeout(self.settings.send_timeout);
        outcome(&self.exchange(request, instance).await)
    }

    /// Asks whether the instance is connected.
    pub async fn connection_state(&self, instance: &InstanceAddress) -> ConnectionState {
        let request = self.http.get(instance.url("instance", "connectionState")).timeout(self.settings.check_timeout);
        connection_state(&self.exchange(request, instance).await)
    }

    /// Looks for a message among those that the instance sent, until the first row that proves it.
    pub async fn find_sent(&self, instance: &InstanceAddress, search: &Search) -> LookResult {
        let jids = search.jids();
        for jid in &jids {
            for page in 1..=MAX_PAGES {
                let request = self
                    .http
                    .post(instance.url("chat", "findMessages"))
                    .json(&search.query(jid, page))
                    .timeout(self.settings.check_timeout);
                let (result, has_more) = read_page(search, &jids, page, &self.exchange(request, instance).await);
                if result != LookResult::NotFound {
                    return result;
                }
                if !has_more {
                    break;
                }
                if page == MAX_PAGES {
                    return LookResult::Failed { reason: Reason::Unrecognised };
                }
            }
        }
        LookResult::NotFound
    }

    /// Makes the instance post webhooks about sent messages to `url` with this header, and about nothing else.
    pub async fn set_webhook(&self, instance: &InstanceAddress, url: &str, header: (&str, &str)) -> Result<(), Reason> {
        let body = json!({"webhook": {
            "enabled": true, "url": url, "byEvents": false, "base64": false, "headers": {header.0: header.1},
            "events": ["SEND_MESSAGE", "MESSAGES_UPDATE"],
        }});
        let request = self.http.post(instance.url("webhook", "set")).json(&body).timeout(self.settings.check_timeout);
        match self.exchange(request, instance).await {
            Reply::Answered { status: 201, .. } => Ok(()),
            other => Err(other.failure_reason()),
        }
    }

    /// One request and its whole answer. Errors are logged without the URL: the caller logs the instance as a field.
    async fn exchange(&self, request: RequestBuilder, instance: &InstanceAddress) -> Reply {
        // A URL whose host is an IP address does not pass through the resolver.
        if !self.settings.networks.allow_url(instance.base_url()) {
            return Reply::NotAllowed;
        }
        match request.header("apikey", instance.token().header()).send().await {
            Ok(response) => read(response).await,
            Err(error) if NotAllowed::is_cause_of(&error) => Reply::NotAllowed,
            Err(error) if error.is_connect() && local_errors::is_cause_of(&error) => Reply::NoSocket,
            Err(error) => {
                let is_unwritten = error.is_connect() || error.is_builder();
                tracing::debug!(error = %error.without_url(), is_unwritten, "Evolution API did not answer");
                if is_unwritten { Reply::NotConnected } else { Reply::Lost }
            }
        }
    }
}

async fn read(mut response: Response) -> Reply {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_RESPONSE_BYTES => body.extend_from_slice(&chunk),
            Ok(None) => return Reply::Answered { status, body },
            Ok(Some(_)) => {
                tracing::debug!(status, "the answer of Evolution API exceeds the limit");
                return Reply::Lost;
            }
            Err(error) => {
                tracing::debug!(error = %error.without_url(), status, "the answer of Evolution API ended early");
                return Reply::Lost;
            }
        }
    }
}
