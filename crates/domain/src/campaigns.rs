//! States and parsed values of campaigns and contacts.

mod contact_name;
mod due_date;
mod meant;
mod message_type;
mod money;
mod outcome;
mod phone;
mod quoted;
mod reference;
mod status;
mod traces;

pub use contact_name::{ContactName, ContactNameError};
pub use due_date::{DueDateError, days_late, days_until_due, format_date_br, parse_due_date, read_due_date};
pub use meant::Meant;
pub use message_type::MessageType;
pub use money::{Money, MoneyError};
pub use outcome::{AttemptOutcome, EvidenceSource, Resolution};
pub use phone::{MeantNumbers, PhoneError, PhoneKind, PhoneNumber};
pub use quoted::Quoted;
pub use reference::{Reference, ReferenceError};
pub use status::{ContactStatus, ControlAction, OperatorDecision, QueueStatus, StateConflict};
pub use traces::Traces;
