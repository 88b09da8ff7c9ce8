//! The three kinds of message, and what depends on the kind alone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a contact is written to. Decides priority, required fields, and whether business hours bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    /// A bill that is past its due date.
    Overdue,
    /// A bill that will fall due.
    Upcoming,
    /// Anything else the debtor must be told; goes at any hour.
    Notification,
}

impl MessageType {
    /// All of them, highest priority first.
    pub const ALL: [Self; 3] = [Self::Overdue, Self::Upcoming, Self::Notification];

    /// The name in the API, in tables and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overdue => "overdue",
            Self::Upcoming => "upcoming",
            Self::Notification => "notification",
        }
    }

    /// RabbitMQ's message priority and the order within a lane (seed 003: 10, 5 and 1).
    pub const fn priority(self) -> u8 {
        match self {
            Self::Overdue => 10,
            Self::Upcoming => 5,
            Self::Notification => 1,
        }
    }

    /// Overdue and upcoming messages wait for business hours; notifications go round the clock (seed 003).
    pub const fn keeps_business_hours(self) -> bool {
        !matches!(self, Self::Notification)
    }

    /// Overdue and upcoming messages need a due date and an amount.
    pub const fn concerns_a_bill(self) -> bool {
        !matches!(self, Self::Notification)
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names none of the three message types.
#[derive(Debug, thiserror::Error)]
#[error("unknown message type {0:?}: use overdue, upcoming or notification")]
pub struct UnknownMessageType(String);

impl FromStr for MessageType {
    type Err = UnknownMessageType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|message_type| message_type.as_str() == text)
            .ok_or_else(|| UnknownMessageType(text.to_owned()))
    }
}
