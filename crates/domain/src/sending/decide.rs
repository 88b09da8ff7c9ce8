//! Decides whether a contact may be sent now. Pure: the caller passes the facts and the time.

mod rule;

use chrono::{DateTime, Utc};

use crate::{Calendar, ContactStatus, MessageType, QueueStatus};

pub use rule::Rule;

/// Facts about the contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContactFacts {
    /// The state.
    pub status: ContactStatus,
    /// When the contact may be sent: its intake or scheduled time, or the time of its retry.
    pub due_at: DateTime<Utc>,
    /// Number of attempts.
    pub attempts: u16,
}

/// Facts about its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFacts {
    /// The state.
    pub status: QueueStatus,
    /// The type of all its messages.
    pub message_type: MessageType,
    /// The earliest time of the first send.
    pub scheduled_for: Option<DateTime<Utc>>,
}

/// Rules of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRules {
    /// Business hours, holidays and zone.
    pub calendar: Calendar,
    /// Most attempts of one contact.
    pub max_attempts: u16,
    /// False while the tenant is suspended.
    pub active: bool,
}

text_enum! {
    /// The connection of an instance at its gateway.
    pub enum InstanceState ("instance state") {
        /// Not checked yet.
        Unknown = "unknown",
        /// Connected. The lane sends in this state only.
        Open = "open",
        /// Pairing or reconnecting.
        Connecting = "connecting",
        /// Logged out or disconnected.
        Close = "close",
        /// The gateway does not answer, or its address or token is unusable.
        Unreachable = "unreachable",
    }
}

/// Facts about the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneFacts {
    /// The state of its instance.
    pub instance_state: InstanceState,
    /// When its pace allows the next send; `None` before the first.
    pub next_send_at: Option<DateTime<Utc>>,
    /// Sends on the tenant's date of `now`.
    pub sent_today: u32,
    /// Most sends a day, after warm-up limits.
    pub daily_cap: Option<u32>,
}

/// A decision about a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Mark and post.
    Send,
    /// The contact stays pending and is decided again later.
    HoldUntil {
        /// When to decide again; `None` where only an event (resume, connection) changes the decision.
        at: Option<DateTime<Utc>>,
        /// The reason.
        rule: Rule,
    },
    /// The contact is never sent. A pending contact becomes `skipped`; any other contact keeps its state.
    Skip {
        /// The reason.
        rule: Rule,
    },
}

/// Decides about a contact at `now`. The first rule that applies decides, in this order:
/// final states ([`Rule::AlreadyFinal`], [`Rule::AlreadySending`], [`Rule::QueueCancelled`], [`Rule::AttemptsUsedUp`]),
/// tenant and operator ([`Rule::TenantSuspended`], [`Rule::QueuePaused`]),
/// the queue's time ([`Rule::QueueScheduled`], [`Rule::BusinessHours`]), the instance ([`Rule::InstanceDown`]),
/// the contact's time ([`Rule::NotDue`]), the lane's pace ([`Rule::DailyCap`], [`Rule::Pacing`]).
pub fn decide(
    contact: &ContactFacts,
    queue: &QueueFacts,
    rules: &TenantRules,
    lane: &LaneFacts,
    now: DateTime<Utc>,
) -> Decision {
    skip_final(contact, queue, rules)
        .or_else(|| hold_by_people(queue, rules))
        .or_else(|| hold_by_time(queue, rules, now))
        .or_else(|| hold_by_instance(queue, lane))
        .or_else(|| hold_by_pace(contact, rules, lane, now))
        .unwrap_or(Decision::Send)
}

fn skip_final(contact: &ContactFacts, queue: &QueueFacts, rules: &TenantRules) -> Option<Decision> {
    let rule = match (contact.status, queue.status) {
        (ContactStatus::Sending, _) => return Some(Decision::HoldUntil { at: None, rule: Rule::AlreadySending }),
        (ContactStatus::Pending, QueueStatus::Cancelled) => Rule::QueueCancelled,
        (ContactStatus::Pending, QueueStatus::Completed | QueueStatus::Failed) => Rule::AlreadyFinal,
        (ContactStatus::Pending, _) if contact.attempts >= rules.max_attempts => Rule::AttemptsUsedUp,
        (ContactStatus::Pending, _) => return None,
        _ => Rule::AlreadyFinal,
    };
    Some(Decision::Skip { rule })
}

fn hold_by_people(queue: &QueueFacts, rules: &TenantRules) -> Option<Decision> {
    if !rules.active {
        return Some(Decision::HoldUntil { at: None, rule: Rule::TenantSuspended });
    }
    let is_paused = queue.status == QueueStatus::Paused;
    is_paused.then_some(Decision::HoldUntil { at: None, rule: Rule::QueuePaused })
}

/// A queue that is still `scheduled` or `paused_hours` after its time is held until `now`: lanes send only contacts of
/// runnable queues, and periodic has not made this queue runnable yet.
fn hold_by_time(queue: &QueueFacts, rules: &TenantRules, now: DateTime<Utc>) -> Option<Decision> {
    let begins = queue.scheduled_for.filter(|begins| *begins > now);
    if begins.is_some() || queue.status == QueueStatus::Scheduled {
        return Some(Decision::HoldUntil { at: begins.or(Some(now)), rule: Rule::QueueScheduled });
    }
    let keeps_hours = queue.message_type.keeps_business_hours();
    let is_closed = keeps_hours && !rules.calendar.is_open(now);
    if is_closed || queue.status == QueueStatus::PausedHours {
        let at = if is_closed { rules.calendar.next_open(now) } else { Some(now) };
        return Some(Decision::HoldUntil { at, rule: Rule::BusinessHours });
    }
    None
}

fn hold_by_instance(queue: &QueueFacts, lane: &LaneFacts) -> Option<Decision> {
    let is_down = queue.status == QueueStatus::InstanceDown || lane.instance_state != InstanceState::Open;
    is_down.then_some(Decision::HoldUntil { at: None, rule: Rule::InstanceDown })
}

fn hold_by_pace(contact: &ContactFacts, rules: &TenantRules, lane: &LaneFacts, now: DateTime<Utc>) -> Option<Decision> {
    let hold = |at, rule| Some(Decision::HoldUntil { at, rule });
    if contact.due_at > now {
        return hold(Some(contact.due_at), Rule::NotDue);
    }
    if lane.daily_cap.is_some_and(|cap| lane.sent_today >= cap) {
        return hold(rules.calendar.tomorrow(now), Rule::DailyCap);
    }
    let next_send_at = lane.next_send_at.filter(|next| *next > now)?;
    hold(Some(next_send_at), Rule::Pacing)
}

#[cfg(test)]
mod tests;
