//! A stand-in for Evolution API 2.3.7, for demos, tests and benchmarks: it answers as the real server was seen to
//! answer, keeps a ledger of what really left, and fails on demand. It has no WhatsApp, no database and no memory
//! beyond its process, unless it is given a journal.
//!
//! # What can be changed while it runs
//!
//! No key is asked for; each call replaces what was set before.
//!
//! | call | body or answer |
//! |---|---|
//! | `PUT /sandbox/faults` | one [`Fault`] or a list; `GET` shows them, `DELETE` ends them |
//! | `PUT /sandbox/instances/{instance}/state` | `{"state":"open"}`, `connecting`, `close` or `absent` |
//! | `PUT /sandbox/numbers` | `{"not_on_whatsapp":["5511…"],"not_on_whatsapp_suffixes":["77"]}` |
//! | `PUT /sandbox/statuses` | `{"delivery_ack_ms":50,"read_ms":200}`; `{}` ends them |
//! | `GET /sandbox/ledger?after=0&limit=1000` | `{"entries":[…],"next":1000}`: what left; pass `next` as `after` until it is null |
//! | `GET /sandbox/ledger/summary` | `{"count":2,"distinct":1,"duplicates":1}` |
//! | `DELETE /sandbox/ledger` | forgets what left |
//! | `GET /sandbox/calls` | requests so far, by route |
//!
//! # The journal
//!
//! With `SANDBOX_JOURNAL` (or [`Settings::journal`]) every message that left is written to that file before its answer,
//! one line of JSON with its ledger entry and its stored row. A sandbox that starts with the file has the same ledger,
//! and findMessages sees the same rows, whatever killed the one before it. Faults, states and numbers that were set, and
//! what `DELETE /sandbox/ledger` did, are not in it: they are as new.
//!
//! # Faults
//!
//! ```json
//! [{"instance":"matriz","number":"5511988887777","times":1,"effect":"reply_lost"},
//!  {"probability":0.05,"seed":7,"latency_ms":250,"effect":"400_timed_out","left":true},
//!  {"on":"find","effect":"find_sees_nothing"}]
//! ```
//!
//! | field | meaning |
//! |---|---|
//! | `on` | `send` (default), `find` (findMessages, findStatusMessage) or `state` (connectionState) |
//! | `instance`, `number` | only these |
//! | `probability`, `seed` | only this share of what matches; the same seed strikes the same ones |
//! | `times` | spent after so many |
//! | `latency_ms` | waited first, before anything leaves |
//! | `effect` | see below; `none` (default) is only the latency |
//! | `left` | whether the message leaves, where the effect leaves it open |
//!
//! | effect | answer | the message leaves |
//! |---|---|---|
//! | `reply_lost` | connection closed | yes, unless `left` is false |
//! | `hang` | never | only if `left` is true |
//! | `400_connection_closed` | `Error: Connection Closed` | no |
//! | `400_timed_out` | `Error: Timed Out` | only if `left` is true |
//! | `400_database` | `PrismaClient…Error` | yes, unless `left` is false; its row is not stored |
//! | `500_connection_closed`, `500_envelope` | as named | no |
//! | `401`, `404`, `503_license` | as named | no |
//! | `502_html` | a proxy's page | only if `left` is true |
//! | `201_empty` | 201 without a body | yes, unless `left` is false |
//! | `find_sees_nothing` | no rows, with `"on":"find"` | |

mod answer;
mod clock;
pub mod config;
mod connection;
mod faults;
mod history;
mod ids;
mod instance;
mod journal;
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

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::connection::{CuttableListener, Scissors};

pub use faults::{Effect, Fault, FaultOn};
pub use history::StoredMessage;
pub use instance::InstanceState;
pub use ledger::{LedgerEntry, LedgerSummary};
pub use numbers::Numbers;
pub use sandbox::Sandbox;
pub use settings::{InstanceSettings, Integration, Key, Settings, StatusTimes, WebhookSettings};

/// The whole process: reads its settings, listens on the loopback, and answers until Ctrl-C or SIGTERM.
///
/// # Errors
/// When its port or its journal cannot be had.
pub async fn start(config: &config::Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stdout().is_terminal()).init();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await;
    let listener = listener.with_context(|| format!("SANDBOX_PORT: cannot listen on port {}", config.port))?;
    tracing::info!(address = %listener.local_addr()?, "the sandbox is listening");
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
    run(listener, config.settings(), shutdown).await
}

/// Answers on `listener` until `shutdown` is cancelled and what is under way has ended.
///
/// # Errors
/// When the sandbox cannot be made or its listener has no address.
pub async fn run(listener: TcpListener, settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    Sandbox::new(settings)?.serve(listener, shutdown).await
}

impl Sandbox {
    /// Answers on `listener` until `shutdown` is cancelled and what is under way has ended, or its grace has.
    ///
    /// # Errors
    /// When the listener has no address, or fails.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
        let address = listener.local_addr().context("the listener has no address")?;
        self.set_server_url(format!("http://{address}"));
        let ending = self.shutdown().clone();
        let service = routes::router(self.clone()).into_make_service_with_connect_info::<Scissors>();
        let serving = axum::serve(CuttableListener(listener), service)
            .with_graceful_shutdown(async move {
                shutdown.cancelled().await;
                ending.cancel();
            })
            .into_future();
        let grace = self.settings().shutdown_grace;
        let out_of_grace = async {
            self.shutdown().cancelled().await;
            tokio::time::sleep(grace).await;
        };
        tokio::select! {
            served = serving => served.context("the sandbox could not go on answering")?,
            () = out_of_grace => tracing::warn!("requests were still under way when the grace ended"),
        }
        self.wait_for_tasks(grace).await;
        Ok(())
    }
}
