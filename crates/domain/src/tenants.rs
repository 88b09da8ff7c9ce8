//! Business hours, rates, roles, names and sealed secrets of tenants.

mod calendar;
mod names;
mod rate;
mod scope;
mod sealed;
mod states;
mod user_role;

pub use calendar::{Calendar, DEFAULT_HOURS, OpenInterval, OpenIntervalError, is_national_holiday, national_holidays};
pub use names::{Email, InstanceName, InvalidName, Slug};
pub use rate::{Rate, RateCheck};
pub use scope::Scope;
pub use sealed::Sealed;
pub use states::{ActorKind, ErasureReason, SessionEnd, SessionKind, TenantStatus};
pub use user_role::{Capability, UserRole};
