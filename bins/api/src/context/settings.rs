//! The settings of an API process, and their defaults.

use std::time::Duration;

use regua_evolution::AllowedNetworks;

use crate::limits::LimitSettings;

/// Whether a text begins like an address on the web.
pub(crate) fn is_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme))
}

/// The settings of an API process.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Scheme and host of the links in answers, without a trailing slash; none: links have no host.
    pub public_url: Option<String>,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// How long a caller may take to send its request body.
    pub body_timeout: Duration,
    /// How long a request may take in all; a request that takes longer is answered as if the database were away.
    pub request_timeout: Duration,
    /// How long requests under way may take after the process received a signal to end.
    pub shutdown_grace: Duration,
    /// Networks in which a gateway may be, in addition to public addresses.
    pub gateway_networks: AllowedNetworks,
    /// Time between two passes of the relay; every batch wakes it too.
    pub relay_every: Duration,
    /// The limits of callers.
    pub limits: LimitSettings,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            public_url: None,
            max_body_bytes: 32 << 20,
            body_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(25),
            gateway_networks: AllowedNetworks::default(),
            relay_every: Duration::from_secs(1),
            limits: LimitSettings::default(),
        }
    }
}
