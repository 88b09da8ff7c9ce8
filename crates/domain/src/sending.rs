//! The rules of sending: whether and when a contact is sent, the pace of a lane, retries, looks and resends.

mod decide;
mod looks;
mod pacing;
mod retry;
mod split_claim;

pub use decide::{ContactFacts, Decision, InstanceState, LaneFacts, QueueFacts, Rule, TenantRules, decide};
pub use looks::{LookSchedule, LookScheduleError, UnfoundAttempt, should_resend};
pub use pacing::Pacing;
pub use retry::RetrySchedule;
pub use split_claim::{Waiting, split_claim};
