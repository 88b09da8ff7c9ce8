//! The HTTP side of the gateway: one pooled client, one request per call, and no repetition of any kind.
//! What an answer means is decided in `outcome` and `state`.

use std::time::Duration;

use regua_domain::PhoneNumber;
use reqwest::{Client, RequestBuilder, Response, redirect, retry};
use serde::Serialize;
use serde_json::json;

use crate::address::InstanceAddress;
use crate::history::{Found, MOST_PAGES, Search, read_page};
use crate::networks::AllowedNetworks;
use crate::outcome::{Outcome, Reply, outcome};
use crate::reason::Reason;
use crate::resolver::{Guarded, NotAllowed};
use crate::state::{ConnectionState, connection_state};

/// Link previews are off: with a URL in the text (a payment page) Evolution would fetch it for up to 3 s before each
/// send, and would show the debtor whatever that page answered to a server.
pub const LINK_PREVIEW: bool = false;

/// No answer of Evolution that we read is longer; a longer one counts as lost.
pub const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// Node closes a connection that was idle for 5 s. Leaving it a second earlier spares us the race in which a request
/// is written to a connection that is just being closed, which could only end as unknown.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// The time limits of the client, and where gateways may be.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// For one send, answer included. Must exceed the delay asked for, plus 60 s of number lookup, plus 30 s of frame
    /// write, plus a margin: Evolution goes on sending when a caller gives up. 150 s unless set.
    pub send_timeout: Duration,
    /// For one question about an instance's state. 10 s unless set.
    pub check_timeout: Duration,
    /// For making a connection, TLS included. 10 s unless set.
    pub connect_timeout: Duration,
    /// The addresses that may be connected to. Public ones unless set.
    pub networks: AllowedNetworks,
}

impl ClientSettings {
    /// The usual ones, with these addresses allowed.
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

/// The client could not be built (no usable root certificates, or no sockets).
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for Evolution API could not be built")]
pub struct ClientError(#[from] reqwest::Error);

/// The client for any number of instances at any number of servers. Cloning it shares the pool of connections.
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
    /// Builds the pooled client: no redirects, no system proxy, no retries, no decompression, and no connection to an
    /// address that is not allowed.
    ///
    /// # Errors
    /// [`ClientError`] when the TLS side cannot be set up.
    pub fn new(settings: ClientSettings) -> Result<Self, ClientError> {
        // An error only says that the process has chosen its provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .dns_resolver(Guarded(settings.networks.clone()))
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { http, settings })
    }

    /// Posts one text, once. The number goes out as digits with its country code: Evolution's Brazilian rules look at
    /// the raw string.
    ///
    /// Dropping the future does not take the message back: Evolution sends even when the caller has gone.
    pub async fn send_text(&self, instance: &InstanceAddress, number: &PhoneNumber, text: &str) -> Outcome {
        let request = self
            .http
            .post(instance.send_text())
            .json(&SendText { number: number.digits(), text, link_preview: LINK_PREVIEW })
            .timeout(self.settings.send_timeout);
        outcome(&self.exchange(request, instance).await)
    }

    /// Asks whether the instance is connected. Evolution answers from memory, so `Open` is only its last event.
    pub async fn connection_state(&self, instance: &InstanceAddress) -> ConnectionState {
        let request = self.http.get(instance.url("instance", "connectionState")).timeout(self.settings.check_timeout);
        connection_state(&self.exchange(request, instance).await)
    }

    /// Looks for a message among those that the instance sent. The look ends with the first row that proves it.
    pub async fn find_sent(&self, instance: &InstanceAddress, search: &Search) -> Found {
        let jids = search.jids();
        for jid in &jids {
            for page in 1..=MOST_PAGES {
                let request = self
                    .http
                    .post(instance.url("chat", "findMessages"))
                    .json(&search.query(jid, page))
                    .timeout(self.settings.check_timeout);
                let (found, has_more) = read_page(search, &jids, page, &self.exchange(request, instance).await);
                if found != Found::Nothing {
                    return found;
                }
                if !has_more {
                    break;
                }
                if page == MOST_PAGES {
                    return Found::Unseen { reason: Reason::Unrecognised };
                }
            }
        }
        Found::Nothing
    }

    /// Has the instance post its webhooks about sent messages to `url`, with one header of ours; every other event is
    /// turned off.
    ///
    /// # Errors
    /// [`Reason`] where Evolution did not take it.
    pub async fn set_webhook(&self, instance: &InstanceAddress, url: &str, header: (&str, &str)) -> Result<(), Reason> {
        let body = json!({"webhook": {
            "enabled": true, "url": url, "byEvents": false, "base64": false, "headers": {header.0: header.1},
            "events": ["SEND_MESSAGE", "MESSAGES_UPDATE"],
        }});
        let request = self.http.post(instance.url("webhook", "set")).json(&body).timeout(self.settings.check_timeout);
        match self.exchange(request, instance).await {
            Reply::Answered { status: 201, .. } => Ok(()),
            other => Err(outcome(&other).reason().unwrap_or(Reason::Unrecognised)),
        }
    }

    /// One request and its whole answer. The URL is taken off errors before they are logged: it names the instance, and
    /// the caller logs that as a field.
    async fn exchange(&self, request: RequestBuilder, instance: &InstanceAddress) -> Reply {
        // An address that stands in the URL itself is looked up by nobody.
        if !self.settings.networks.allow_url(instance.base_url()) {
            return Reply::NotAllowed;
        }
        match request.header("apikey", instance.token().header()).send().await {
            Ok(response) => read(response).await,
            Err(error) if NotAllowed::is_cause_of(&error) => Reply::NotAllowed,
            Err(error) => {
                let never_written = error.is_connect() || error.is_builder();
                tracing::debug!(error = %error.without_url(), never_written, "no answer from Evolution API");
                if never_written { Reply::NotConnected } else { Reply::Lost }
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
                tracing::debug!(status, "an answer of Evolution API was longer than is ever read");
                return Reply::Lost;
            }
            Err(error) => {
                tracing::debug!(error = %error.without_url(), status, "an answer of Evolution API broke off");
                return Reply::Lost;
            }
        }
    }
}
