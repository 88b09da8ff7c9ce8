//! Logging, and the crypto provider of all TLS clients.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::settings::{LogArguments, TelemetryFormat};

/// Starts logging to standard error, as JSON lines or for a person. A second call changes nothing.
pub fn start_logging(arguments: &LogArguments) {
    let filter = EnvFilter::try_new(&arguments.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = std::io::stderr().is_terminal();
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(is_terminal);
    let started = match arguments.format {
        TelemetryFormat::Json => builder.json().flatten_event(true).try_init(),
        TelemetryFormat::Pretty => builder.with_target(false).compact().try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// Installs the crypto provider; it must be called before the first TLS client is created. A second call changes
/// nothing.
pub fn init_tls() {
    let _already_there = rustls::crypto::ring::default_provider().install_default();
}
