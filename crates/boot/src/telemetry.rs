//! Logging, and the crypto provider of all TLS clients.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{LogArguments, TelemetryFormat};

/// Starts logging to standard error, as JSON lines or for a person. A second call changes nothing.
pub fn start_logging(arguments: &LogArguments) {
    if subscriber(arguments, std::io::stderr, std::io::stderr().is_terminal()).try_init().is_err() {
        tracing::debug!("logging was started before");
    }
}

/// What filters, formats and writes the logs.
pub fn subscriber(
    arguments: &LogArguments,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
    has_colours: bool,
) -> Box<dyn Subscriber + Send + Sync> {
    let filter = EnvFilter::try_new(&arguments.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(has_colours);
    match arguments.format {
        TelemetryFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
        TelemetryFormat::Pretty => Box::new(builder.with_target(false).compact().finish()),
    }
}

/// Installs the crypto provider; it must be called before the first TLS client is created. A second call changes
/// nothing.
pub fn init_tls() {
    let _already_there = rustls::crypto::ring::default_provider().install_default();
}
