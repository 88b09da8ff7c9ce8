//! The sandbox's clock. The sandbox stands for another server, so its time is not an argument.

use chrono::{DateTime, Utc};

#[expect(clippy::disallowed_methods, reason = "the clock of another server, read here only")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
