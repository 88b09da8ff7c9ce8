//! The rules of the fleet: types that can only be made by parsing, state machines, and pure decisions.
//! There is no I/O, no async and no clock in this room: time is always an argument.

mod active_text;
mod calendar;
mod contact_name;
mod decide;
mod due_date;
mod ids;
mod language;
mod message_type;
mod money;
mod pacing;
mod phone;
mod rate;
mod reference;
mod retry;
mod sealed;
mod settlement;
mod share;
mod stable_hash;
mod status;
mod template;
mod text;
mod traces;
mod user_role;
mod variables;
mod variables_schema;
mod variation;

pub use calendar::{Calendar, DEFAULT_HOURS, OpenInterval, OpenIntervalError, is_national_holiday, national_holidays};
pub use contact_name::{ContactName, ContactNameError};
pub use decide::{
    ContactFacts, Decision, InstanceState, LaneFacts, QueueFacts, Rule, TenantRules, UnknownRule, decide,
};
pub use due_date::{DueDateError, business_days_between, days_late, days_until_due, format_date_br, parse_due_date};
pub use ids::{
    ApiKeyId, AttemptId, AuditId, CampaignId, ContactId, EvidenceId, InstanceId, QueueId, SessionId, TemplateId,
    TenantId, UserId, WebhookEventId,
};
pub use language::Language;
pub use message_type::{MessageType, UnknownMessageType};
pub use money::{Money, MoneyError};
pub use pacing::Pacing;
pub use phone::{PhoneError, PhoneKind, PhoneNumber};
pub use rate::{Rate, Taken};
pub use reference::{Reference, ReferenceError};
pub use retry::RetrySchedule;
pub use sealed::Sealed;
pub use settlement::{LookSchedule, LookScheduleError, Unfound, resends};
pub use share::{Waiting, shares};
pub use status::{ContactStatus, ControlAction, QueueStatus, StateConflict, UnknownStatus};
pub use template::{MessageTemplate, RenderError, TemplateError, TemplateProblem, Variations, VariationsError};
pub use text::{printable, refused_character};
pub use traces::Traces;
pub use user_role::{Right, UnknownUserRole, UserRole};
pub use variables::{ContactDetails, OwnVariables, VARIABLE_NAMES, Variables, VariablesError};
pub use variables_schema::{SchemaError, SchemaViolation, VariablesSchema};
pub use variation::choose_variation;
