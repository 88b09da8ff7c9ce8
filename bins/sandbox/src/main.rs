//! The sandbox as a program: reads its settings, listens on the loopback, ends on Ctrl-C or SIGTERM.

use std::io::IsTerminal;
use std::net::Ipv4Addr;

use anyhow::Context;
use clap::Parser;
use regua_sandbox::{Key, Settings, run};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A stand-in for Evolution API 2.3.7, with faults on demand under /sandbox.
#[derive(Parser)]
#[command(name = "regua-sandbox", version)]
struct Arguments {
    /// Port to listen on, at 127.0.0.1; 0 takes a free one and logs it.
    #[arg(long, env = "SANDBOX_PORT", value_name = "SANDBOX_PORT", default_value_t = 8090)]
    port: u16,
    /// Global API key, valid for every instance.
    #[arg(long, env = "SANDBOX_API_KEY", value_name = "SANDBOX_API_KEY", default_value = "sandbox")]
    api_key: String,
    /// Make an instance, connected, when a route first names it.
    #[arg(
        long,
        env = "SANDBOX_AUTO_CREATE_INSTANCES",
        value_name = "SANDBOX_AUTO_CREATE_INSTANCES",
        default_value_t = false,
        action = clap::ArgAction::Set
    )]
    auto_create_instances: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stdout().is_terminal()).init();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port)).await;
    let listener = listener.with_context(|| format!("SANDBOX_PORT: cannot listen on port {}", arguments.port))?;
    tracing::info!(address = %listener.local_addr()?, "the sandbox is listening");
    let settings = Settings {
        api_key: Key::new(arguments.api_key),
        auto_create_instances: arguments.auto_create_instances,
        ..Settings::default()
    };
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened for")?;
    let ending = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        ending.cancel();
    });
    run(listener, settings, shutdown).await
}
