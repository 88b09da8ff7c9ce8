//! The rules of the fleet: types that can only be made by parsing, state machines, and pure decisions.
//! There is no I/O, no async and no clock in this room: time is always an argument.

mod ids;
mod language;
mod message_type;
mod status;

pub use ids::{ApiKeyId, AttemptId, CampaignId, ContactId, InstanceId, QueueId, TemplateId, TenantId};
pub use language::Language;
pub use message_type::{MessageType, UnknownMessageType};
pub use status::{ContactStatus, ControlAction, QueueStatus, StateConflict, UnknownStatus};
