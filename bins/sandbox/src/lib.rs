//! A stand-in for Evolution API 2.3.7, for demos, tests and benchmarks: it answers as the captured server did, keeps a
//! ledger of messages that left, and fails on demand. It has no WhatsApp and no database. Its state ends with the process,
//! unless it has a journal.
//!
//! # Control at run time
//!
//! The calls need no key. Each `PUT` replaces the earlier value.
//!
//! | call | body or answer |
//! |---|---|
//! | `PUT /sandbox/faults` | one [`Fault`] or a list; `GET` shows them, `DELETE` ends them |
//! | `PUT /sandbox/instances/{instance}/state` | `{"state":"open"}`, `connecting`, `close` or `absent` |
//! | `PUT /sandbox/numbers` | `{"not_on_whatsapp":["5511…"],"not_on_whatsapp_suffixes":["77"]}` |
//! | `PUT /sandbox/statuses` | `{"delivery_ack_ms":50,"read_ms":200}`; `{}` ends them |
//! | `GET /sandbox/ledger?after=0&limit=1000` | `{"entries":[…],"next":1000}`; pass `next` as `after` until it is null |
//! | `GET /sandbox/ledger/summary` | `{"count":2,"distinct":1,"duplicates":1}` |
//! | `DELETE /sandbox/ledger` | empties the ledger |
//! | `GET /sandbox/calls` | requests so far, by route |
//!
//! # The journal
//!
//! With `SANDBOX_JOURNAL` (or [`Settings::journal`]) the sandbox writes every message that left to that file before it
//! answers: a line of JSON with the ledger entry and the stored row. A sandbox that starts with the file restores the
//! ledger and the rows of findMessages. The file holds no faults, states and numbers, and no `DELETE /sandbox/ledger`.
//!
//! # Faults
//!
//! ```json
//! [{"instance":"matriz","number":"5511988887777","times":1,"effect":"reply_lost"},
//!  {"probability":0.05,"seed":7,"latency_ms":250,"effect":"400_timed_out","left":true},
//!  {"on":"find","effect":"find_sees_nothing"}]
//! ```
//!
//! [`Fault`] documents the fields, and [`Effect`] the effects.

mod answer;
mod clock;
pub mod config;
mod connection;
mod events;
mod faults;
mod history;
mod ids;
mod instance;
mod ledger;
mod numbers;
mod routes;
mod sandbox;
mod schema;
mod sending;
mod settings;
mod webhook;

use std::io::IsTerminal;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::connection::CutHandle;

pub use faults::{Effect, Fault, FaultOn};
pub use history::StoredMessage;
pub use instance::InstanceState;
pub use ledger::{LedgerEntry, LedgerSummary};
pub use numbers::Numbers;
pub use sandbox::Sandbox;
pub use settings::{InstanceSettings, Integration, Settings, StatusTimes};

/// The time for open requests and posts to end after shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// The process: listens on the loopback and answers until Ctrl-C or SIGTERM.
pub async fn start(config: &config::Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stdout().is_terminal()).init();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await;
    let listener = listener.with_context(|| format!("SANDBOX_PORT: cannot listen on port {}", config.port))?;
    tracing::info!(address = %listener.local_addr()?, "the sandbox is listening");
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let ending = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        ending.cancel();
    });
    Sandbox::new(config.settings())?.serve(listener, shutdown).await
}

impl Sandbox {
    /// Answers on `listener` until `shutdown` is cancelled and open requests have ended, or the grace has.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
        let address = listener.local_addr().context("the listener has no address")?;
        let _ = self.server_url.set(format!("http://{address}"));
        let ending = self.shutdown.clone();
        let service = routes::router(self.clone()).into_make_service_with_connect_info::<CutHandle>();
        let serving = axum::serve(listener, service)
            .with_graceful_shutdown(async move {
                shutdown.cancelled().await;
                ending.cancel();
            })
            .into_future();
        let out_of_grace = async {
            self.shutdown.cancelled().await;
            tokio::time::sleep(SHUTDOWN_GRACE).await;
        };
        tokio::select! {
            served = serving => served.context("the sandbox can no longer answer")?,
            () = out_of_grace => tracing::warn!("requests were open when the grace ended"),
        }
        self.tasks.close();
        if tokio::time::timeout(SHUTDOWN_GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "tasks were running when the grace ended");
        }
        Ok(())
    }
}
