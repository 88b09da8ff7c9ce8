//! What can be chosen about a sandbox before it starts. What can be changed while it runs is in `control`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A key as it stands in the `apikey` header. Debug shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Takes any text as a key; Evolution does no more.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The key in clear, as fetchInstances and webhooks show it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Which of Evolution's channels an instance belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Integration {
    /// WhatsApp by QR code: numbers are looked up, closed sockets refuse.
    #[default]
    Baileys,
    /// Evolution's own channel without WhatsApp: everything is accepted, even when closed.
    Evolution,
}

impl Integration {
    /// The name in Evolution's API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Baileys => "WHATSAPP-BAILEYS",
            Self::Evolution => "EVOLUTION",
        }
    }

    /// The channel of that name. WHATSAPP-BUSINESS is not played by the sandbox.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Baileys, Self::Evolution].into_iter().find(|integration| integration.as_str() == text)
    }
}

/// An instance to be there from the start.
#[derive(Clone, Debug)]
pub struct InstanceSettings {
    /// Its name in paths.
    pub name: String,
    /// Its token; a new one is made where there is none.
    pub token: Option<Key>,
    /// Its channel.
    pub integration: Integration,
    /// Its own number, digits only.
    pub number: Option<String>,
    /// Whether it starts connected (a phone has scanned the QR code). EVOLUTION instances always do.
    pub connected: bool,
}

impl InstanceSettings {
    /// A connected WhatsApp instance, as a demo or a test wants it.
    pub fn connected(name: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            token: Some(Key::new(token)),
            integration: Integration::Baileys,
            number: None,
            connected: true,
        }
    }
}

/// How webhooks are posted. The defaults are the code's own of Evolution 2.3.7.
#[derive(Clone, Copy, Debug)]
pub struct WebhookSettings {
    /// For one post, answer included.
    pub timeout: Duration,
    /// Posts of one event at most.
    pub max_attempts: u32,
    /// The wait before the second post; it doubles from there.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            max_attempts: 10,
            first_wait: Duration::from_secs(5),
            longest_wait: Duration::from_secs(300),
        }
    }
}

/// How long after a message left its statuses come, as messages.update; none come where there is no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatusTimes {
    /// DELIVERY_ACK, in milliseconds after the message left.
    pub delivery_ack_ms: Option<u64>,
    /// READ, in milliseconds after the message left.
    pub read_ms: Option<u64>,
}

/// Everything that can be chosen before the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The global key (`AUTHENTICATION_API_KEY`).
    pub api_key: Key,
    /// Instances to create at the start.
    pub instances: Vec<InstanceSettings>,
    /// Whether a route that names an unknown instance makes it, connected, with the key it was called with as token.
    pub auto_create_instances: bool,
    /// `clientName` of the server.
    pub client_name: String,
    /// `server_url` in webhooks; the listener's address where it is not given.
    pub server_url: Option<String>,
    /// How long connect holds its answer; 2 s in Evolution.
    pub connect_wait: Duration,
    /// How long after connect a phone scans the QR code. Without it WhatsApp is out of reach, as it was for the
    /// captures: connect answers `{"count":0}` and the instance stays `connecting`.
    pub scan_after: Option<Duration>,
    /// How webhooks are posted.
    pub webhooks: WebhookSettings,
    /// Statuses of sent messages; off by default.
    pub statuses: StatusTimes,
    /// How long requests and posts under way may take to end after shutdown was asked for.
    pub shutdown_grace: Duration,
    /// Fixes every id. Without it ids differ from run to run.
    pub seed: Option<u64>,
    /// The file that keeps what left; none: memory alone does.
    pub journal: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_key: Key::new("sandbox"),
            instances: Vec::new(),
            auto_create_instances: false,
            client_name: "regua_sandbox".to_owned(),
            server_url: None,
            connect_wait: Duration::from_secs(2),
            scan_after: None,
            webhooks: WebhookSettings::default(),
            statuses: StatusTimes::default(),
            shutdown_grace: Duration::from_secs(5),
            seed: None,
            journal: None,
        }
    }
}
