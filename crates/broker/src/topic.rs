//! Topics: each has a routing key, and its doorbells wait in one queue of RabbitMQ.

use std::fmt;

use regua_domain::MessageType;
use serde::{Deserialize, Serialize};

/// Why a worker must look at a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoorbellKind {
    /// A queue of overdue messages has something to send.
    Overdue,
    /// A queue of upcoming messages has something to send.
    Upcoming,
    /// A queue of notifications has something to send.
    Notification,
    /// A queue may be sent again: at its `resume_at`, when its instance is connected, or by an operator's decision.
    Resume,
    /// The lane of the queue needs a worker: its lease expired, or it is free and has due contacts.
    CheckStale,
    /// The queue's instance may be connected again.
    CheckRecovery,
}

impl DoorbellKind {
    /// All kinds, the most urgent first.
    pub const ALL: [Self; 6] =
        [Self::Overdue, Self::Resume, Self::CheckStale, Self::CheckRecovery, Self::Upcoming, Self::Notification];

    /// The name in messages, queues and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overdue => "overdue",
            Self::Upcoming => "upcoming",
            Self::Notification => "notification",
            Self::Resume => "resume",
            Self::CheckStale => "check_stale",
            Self::CheckRecovery => "check_recovery",
        }
    }

    /// 10, 5 and 1 by the product's requirements. Resume and the checks have 10: they are few, and a whole queue waits
    /// for each of them.
    pub const fn priority(self) -> u8 {
        match self {
            Self::Overdue => MessageType::Overdue.priority(),
            Self::Upcoming => MessageType::Upcoming.priority(),
            Self::Notification => MessageType::Notification.priority(),
            Self::Resume | Self::CheckStale | Self::CheckRecovery => 10,
        }
    }
}

impl fmt::Display for DoorbellKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<MessageType> for DoorbellKind {
    fn from(message_type: MessageType) -> Self {
        match message_type {
            MessageType::Overdue => Self::Overdue,
            MessageType::Upcoming => Self::Upcoming,
            MessageType::Notification => Self::Notification,
        }
    }
}

/// A program that consumes doorbells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Looks at queues.
    Worker,
    /// Looks at webhook events.
    Periodic,
}

impl Program {
    /// The topics that the program consumes, the most urgent first.
    pub(crate) fn topics(self) -> Vec<Topic> {
        match self {
            Self::Worker => DoorbellKind::ALL.map(Topic::Queue).to_vec(),
            Self::Periodic => vec![Topic::WebhookEvents],
        }
    }
}

/// What a doorbell is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Queue(DoorbellKind),
    WebhookEvents,
}

impl Topic {
    pub(crate) fn all() -> Vec<Self> {
        [Program::Worker, Program::Periodic].into_iter().flat_map(Program::topics).collect()
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Queue(kind) => kind.as_str(),
            Self::WebhookEvents => "webhook_events",
        }
    }

    /// The routing key in RabbitMQ, which is also the name of RabbitMQ's queue.
    pub(crate) fn routing_key(self, namespace: &str) -> String {
        format!("{namespace}.{}", self.as_str())
    }

    /// The routing key in the table of doorbells, whatever the fleet's namespace is.
    pub(crate) fn stored_routing_key(self) -> String {
        self.routing_key("billing")
    }

    pub(crate) fn stored_routing_keys(topics: Vec<Self>) -> Vec<String> {
        topics.into_iter().map(Self::stored_routing_key).collect()
    }

    /// Webhook events have the highest priority: their doorbells are few, and a proof may wait behind one.
    pub(crate) const fn priority(self) -> u8 {
        match self {
            Self::Queue(kind) => kind.priority(),
            Self::WebhookEvents => 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespace_is_the_first_word_of_the_routing_key() {
        for topic in Topic::all() {
            assert_eq!(topic.stored_routing_key(), format!("billing.{}", topic.as_str()));
        }
        assert_eq!(Topic::Queue(DoorbellKind::CheckStale).routing_key("t1"), "t1.check_stale");
    }

    #[test]
    fn each_topic_is_consumed_by_one_program() {
        let names: std::collections::BTreeSet<_> = Topic::all().into_iter().map(Topic::as_str).collect();
        assert_eq!(names.len(), Topic::all().len());
        assert_eq!(names.len(), 7);
    }

    #[test]
    fn kinds_are_in_the_order_of_their_priority() {
        assert!(DoorbellKind::ALL.is_sorted_by_key(|kind| std::cmp::Reverse(kind.priority())));
    }
}
