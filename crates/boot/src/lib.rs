//! What every process needs: clock, logs, metrics, health and shutdown. There are no rules and no SQL here.

mod clock;
mod counted_log;
mod descriptors;
mod health;
mod metrics;
mod services;
mod settings;
mod shutdown;
mod telemetry;

pub use clock::{Clock, ManualClock};
pub use counted_log::CountedLog;
pub use descriptors::{descriptor_limit, ensure_descriptors};
pub use health::{Probe, health_routes, serve};
pub use metrics::Registry;
#[doc(hidden)]
pub use metrics::kinds as metric_kinds;
pub use services::{Services, open_pool};
pub use settings::{BrokerArguments, DatabaseArguments, LogArguments, TelemetryFormat};
pub use shutdown::on_signal;
pub use telemetry::{init_tls, start_logging, subscriber};
