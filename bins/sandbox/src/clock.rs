//! The sandbox's own clock: it stands for another server, whose time nobody passes in.

use chrono::{DateTime, Utc};

#[expect(clippy::disallowed_methods, reason = "another server's clock, read in this one place")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
