//! The rules of the fleet: types that are made by parsing, state machines, and pure decisions. No I/O, no async and no
//! clock: time is an argument.

#[macro_use]
mod input_error;
#[macro_use]
mod text_enum;

mod campaigns;
mod charset;
mod events;
mod ids;
mod language;
mod reading;
mod sending;
mod spreadsheet;
mod stable_hash;
mod templates;
mod tenants;
mod text;
mod webhooks;

pub use campaigns::{
    AttemptOutcome, ContactName, ContactNameError, ContactStatus, ControlAction, DueDateError, EvidenceSource, Meant,
    MeantNumbers, MessageType, Money, MoneyError, OperatorDecision, PhoneError, PhoneKind, PhoneNumber, QueueStatus,
    Quoted, Reference, ReferenceError, Resolution, StateConflict, Traces, days_late, days_until_due, format_date_br,
    parse_due_date, read_due_date,
};
pub use charset::{from_code_page_850, is_damaged, mend_charset};
pub use events::EventKind;
pub use ids::{
    ApiKeyId, AttemptId, AuditId, CampaignId, ContactId, EventSeq, EvidenceId, InstanceId, LaneKey, QueueId, SessionId,
    TemplateId, TenantId, UserId, WebhookEventId, time_ordered_uuid,
};
pub use language::{Argument, Language, Text};
pub use reading::{Reading, Warning, present, trim_blanks};
pub use sending::{
    ContactFacts, Decision, InstanceState, LaneFacts, LookSchedule, LookScheduleError, Pacing, QueueFacts,
    RetrySchedule, Rule, TenantRules, UnfoundAttempt, Waiting, decide, should_resend, split_claim,
};
pub use spreadsheet::is_damaged_number;
pub use templates::{
    ContactDetails, MAX_VARIABLES, MessageTemplate, OwnVariables, RenderError, SchemaError, SchemaViolation,
    TemplateError, TemplateProblem, VARIABLE_NAMES, Variables, VariablesError, VariablesSchema, Variations,
    VariationsError, exact_number,
};
pub use tenants::{
    ActorKind, Calendar, Capability, DEFAULT_HOURS, Email, ErasureReason, InstanceName, InvalidName, OpenInterval,
    OpenIntervalError, Rate, RateCheck, Scope, Sealed, SessionEnd, SessionKind, Slug, TenantStatus, UserRole,
    is_national_holiday, national_holidays,
};
pub use text::{CodePoint, printable, refused_character};
pub use text_enum::UnknownText;
pub use webhooks::{GatewayEventName, WebhookSource};
