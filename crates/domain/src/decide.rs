//! The one place where it is decided whether a contact may be sent now. Pure: the caller brings the facts and the time.

mod rule;

use chrono::{DateTime, Utc};

use crate::{Calendar, ContactStatus, MessageType, QueueStatus};

pub use rule::{Rule, UnknownRule};

/// What is known of the contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContactFacts {
    /// Its state.
    pub status: ContactStatus,
    /// When it may be tried at the earliest (later than intake after an attempt that did not leave).
    pub due_at: DateTime<Utc>,
    /// How many attempts were made.
    pub attempts: u16,
}

/// What is known of its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFacts {
    /// Its state.
    pub status: QueueStatus,
    /// The type of all its messages.
    pub message_type: MessageType,
    /// When the batch asked to begin.
    pub scheduled_for: Option<DateTime<Utc>>,
}

/// What the tenant has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRules {
    /// Business hours, holidays and zone.
    pub calendar: Calendar,
    /// How many attempts a contact gets in all.
    pub max_attempts: u16,
    /// False while the tenant is suspended.
    pub active: bool,
}

/// Evolution API's word for the connection of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstanceState {
    /// Connected; the only state in which anything is sent.
    Open,
    /// Pairing or reconnecting.
    Connecting,
    /// Logged out or disconnected.
    Close,
    /// Not checked yet, or the server did not answer.
    Unknown,
}

/// What is known of the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneFacts {
    /// The connection of its instance.
    pub instance_state: InstanceState,
    /// When its pace allows the next send; `None` before the first.
    pub next_send_at: Option<DateTime<Utc>>,
    /// How many were sent on the tenant's date of `now`.
    pub sent_today: u32,
    /// How many may be sent a day, warm-up included.
    pub daily_cap: Option<u32>,
}

/// What to do with a contact now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Mark it and send it.
    Send,
    /// Leave it pending and ask again.
    HoldUntil {
        /// When to ask again; `None` where only an event (resume, connection) can change the answer.
        at: Option<DateTime<Utc>>,
        /// Why.
        rule: Rule,
    },
    /// It must never be sent. Final facts stay as they are; a pending contact becomes what the rule says.
    Skip {
        /// Why.
        rule: Rule,
    },
}

/// Whether this contact may be sent at `now`.
///
/// The first rule that objects decides, in this order: what can never change ([`Rule::AlreadyFinal`],
/// [`Rule::AlreadySending`], [`Rule::QueueCancelled`], [`Rule::AttemptsUsedUp`]); what a person must lift
/// ([`Rule::TenantSuspended`], [`Rule::QueuePaused`]); what the clock lifts for the whole queue
/// ([`Rule::QueueScheduled`], [`Rule::BusinessHours`]); the instance ([`Rule::InstanceDown`]); then the contact's own
/// time ([`Rule::NotDue`]) and the lane's ([`Rule::DailyCap`], [`Rule::Pacing`]).
pub fn decide(
    contact: &ContactFacts,
    queue: &QueueFacts,
    rules: &TenantRules,
    lane: &LaneFacts,
    now: DateTime<Utc>,
) -> Decision {
    never(contact, queue, rules)
        .or_else(|| held_by_a_person(queue, rules))
        .or_else(|| held_by_the_clock(queue, rules, now))
        .or_else(|| held_by_the_instance(queue, lane))
        .or_else(|| held_by_pace(contact, rules, lane, now))
        .unwrap_or(Decision::Send)
}

fn never(contact: &ContactFacts, queue: &QueueFacts, rules: &TenantRules) -> Option<Decision> {
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

fn held_by_a_person(queue: &QueueFacts, rules: &TenantRules) -> Option<Decision> {
    if !rules.active {
        return Some(Decision::HoldUntil { at: None, rule: Rule::TenantSuspended });
    }
    let is_paused = queue.status == QueueStatus::Paused;
    is_paused.then_some(Decision::HoldUntil { at: None, rule: Rule::QueuePaused })
}

/// A queue whose hour has come and that still stands in `scheduled` or `paused_hours` is held until `now`: the state is
/// changed in one place (periodic), and nothing is sent from a queue that does not say it runs.
fn held_by_the_clock(queue: &QueueFacts, rules: &TenantRules, now: DateTime<Utc>) -> Option<Decision> {
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

fn held_by_the_instance(queue: &QueueFacts, lane: &LaneFacts) -> Option<Decision> {
    let is_down = queue.status == QueueStatus::InstanceDown || lane.instance_state != InstanceState::Open;
    is_down.then_some(Decision::HoldUntil { at: None, rule: Rule::InstanceDown })
}

fn held_by_pace(contact: &ContactFacts, rules: &TenantRules, lane: &LaneFacts, now: DateTime<Utc>) -> Option<Decision> {
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
