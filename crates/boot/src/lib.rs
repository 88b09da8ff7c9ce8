//! What every process does around its work: the clock, logs, metrics, health, secrets and shutdown. No rule and no SQL is here.

mod clock;
mod debtors;
mod health;
mod metrics;
mod secrets;
mod services;
mod settings;
mod shutdown;
mod telemetry;

pub use clock::{Clock, ManualClock};
pub use debtors::DebtorKeys;
pub use health::{Probe, health_routes, serve};
pub use metrics::Metrics;
pub use secrets::{CannotOpen, CannotSeal, DEVELOPMENT_SECRET_KEY, Place, SecretArguments, SecretKeys};
pub use services::{Services, open_pool};
pub use settings::{BrokerArguments, DatabaseArguments, LogArguments, TelemetryFormat};
pub use shutdown::on_signal;
pub use telemetry::{init_tls, start_logging};
