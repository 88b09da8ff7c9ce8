//! The settings of a sandbox before its start. `routes::control` changes a running sandbox.

use std::path::PathBuf;
use std::time::Duration;

/// The channel of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Integration {
    /// WhatsApp by QR code: numbers are looked up, and a closed connection refuses.
    #[default]
    Baileys,
    /// Evolution's channel without WhatsApp, which accepts everything even when closed.
    Evolution,
}

impl Integration {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Baileys => "WHATSAPP-BAILEYS",
            Self::Evolution => "EVOLUTION",
        }
    }

    /// The channel of that name. The sandbox has no WHATSAPP-BUSINESS.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Baileys, Self::Evolution].into_iter().find(|integration| integration.as_str() == text)
    }
}

/// An instance that exists from the start. No `Debug`: the token is a secret.
#[derive(Clone)]
pub struct InstanceSettings {
    /// Its name in paths.
    pub name: String,
    /// Its token; generated when absent.
    pub token: Option<String>,
    /// Its channel.
    pub integration: Integration,
    /// Its number, digits only.
    pub number: Option<String>,
    /// Whether it starts connected, as after a scan of the QR code. EVOLUTION instances always do.
    pub connected: bool,
}

impl InstanceSettings {
    /// A connected WhatsApp instance.
    pub fn connected(name: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            token: Some(token.into()),
            integration: Integration::Baileys,
            number: None,
            connected: true,
        }
    }
}

/// When the statuses of a message are posted as messages.update; a status without a time is not posted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatusTimes {
    /// DELIVERY_ACK, in milliseconds after the message left.
    pub delivery_ack_ms: Option<u64>,
    /// READ, in milliseconds after the message left.
    pub read_ms: Option<u64>,
}

/// The settings of a sandbox. No `Debug`: the key is a secret.
#[derive(Clone)]
pub struct Settings {
    /// The global key (`AUTHENTICATION_API_KEY`). Any text is a key, as in Evolution.
    pub api_key: String,
    /// Instances at the start.
    pub instances: Vec<InstanceSettings>,
    /// Whether a route with an unknown instance creates it, connected, with the request's key as its token.
    pub auto_create_instances: bool,
    /// `clientName` of the server.
    pub client_name: String,
    /// The time until connect answers; 2 s in Evolution.
    pub connect_wait: Duration,
    /// The time limit of one post to a webhook, answer included; 30 s in Evolution.
    pub webhook_timeout: Duration,
    /// The wait before the second post of an event, which doubles from there; 5 s in Evolution.
    pub webhook_wait: Duration,
    /// Fixes all ids.
    pub seed: Option<u64>,
    /// The journal's file.
    pub journal: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_key: "sandbox".to_owned(),
            instances: Vec::new(),
            auto_create_instances: false,
            client_name: "regua_sandbox".to_owned(),
            connect_wait: Duration::from_secs(2),
            webhook_timeout: Duration::from_secs(30),
            webhook_wait: Duration::from_secs(5),
            seed: None,
            journal: None,
        }
    }
}
