//! The mark: decides on locked lanes and queues which contacts are sent, and writes their attempts before the requests.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{
    AttemptId, ContactFacts, ContactId, ContactStatus, Decision, InstanceId, InstanceState, LaneFacts, Pacing,
    QueueFacts, QueueId, Rule, TenantId, TenantRules, decide,
};
use regua_store::attempts::AttemptKey;
use regua_store::contacts::{self, MarkFacts, NewAttempt};
use regua_store::lanes::{self, LockedLane};
use regua_store::queues::LockedQueue;
use sqlx::PgConnection;

use super::{Counts, Queues};

/// A request to write an attempt before it is posted.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) tenant: TenantId,
    pub(crate) instance: InstanceId,
    pub(crate) epoch: i64,
    pub(crate) queue: QueueId,
    pub(crate) contact: ContactId,
    /// The contact's state at the claim.
    pub(crate) claimed: MarkFacts,
    /// Chosen by the lane, so that a mark whose answer was lost can be repeated.
    pub(crate) attempt: AttemptId,
    pub(crate) number: i16,
    pub(crate) tenant_rules: Arc<TenantRules>,
    pub(crate) pacing: Pacing,
    /// How long before its slot the attempt may be marked; it is posted at its slot.
    pub(crate) lead_time: TimeDelta,
    pub(crate) daily_cap: Option<u32>,
    /// An earlier request for this mark was not answered, and may be committed.
    pub(crate) is_repeated: bool,
}

impl Mark {
    /// A number from 0 to 1 out of the attempt id's random bits.
    pub(crate) fn chance(&self) -> f64 {
        let (_, random) = self.attempt.0.as_u64_pair();
        f64::from(u32::try_from(random & 0xFFFF_FFFF).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkResult {
    /// The mark is committed: post once, at `send_at`. `attempts` is the attempt's number for the retry schedule.
    Send {
        send_at: DateTime<Utc>,
        next_send_at: DateTime<Utc>,
        attempts: u16,
    },
    Hold {
        until: Option<DateTime<Utc>>,
        rule: Rule,
    },
    /// The contact's state is final.
    Skip {
        rule: Rule,
    },
    /// The contact was attempted since it was claimed, and will be claimed again.
    Outdated,
    LeaseLost,
}

pub(super) async fn read_facts(
    conn: &mut PgConnection,
    marks: &[&Mark],
) -> Result<HashMap<(TenantId, ContactId), MarkFacts>, sqlx::Error> {
    let wanted: Vec<_> = marks.iter().map(|mark| (mark.tenant, mark.contact)).collect();
    let facts = contacts::mark_facts(conn, &wanted).await?;
    Ok(facts.into_iter().map(|facts| ((facts.tenant_id, facts.contact_id), facts)).collect())
}

/// Marks that are decided, and what they write.
pub(super) struct DecidedMarks<'a> {
    lanes: HashMap<(TenantId, InstanceId), LockedLane>,
    queues: &'a Queues,
    facts: HashMap<(TenantId, ContactId), MarkFacts>,
    sends: Vec<&'a Mark>,
    skips: Vec<(TenantId, ContactId, Rule)>,
    now: DateTime<Utc>,
}

impl<'a> DecidedMarks<'a> {
    pub(super) const fn new(
        lanes: HashMap<(TenantId, InstanceId), LockedLane>,
        queues: &'a Queues,
        facts: HashMap<(TenantId, ContactId), MarkFacts>,
        now: DateTime<Utc>,
    ) -> Self {
        Self { lanes, queues, facts, sends: Vec::new(), skips: Vec::new(), now }
    }

    pub(super) fn decide(&mut self, mark: &'a Mark) -> MarkResult {
        let (Some(lane), Some(queue), Some(facts)) = (
            self.lanes.get_mut(&(mark.tenant, mark.instance)),
            self.queues.get(&(mark.tenant, mark.queue)),
            self.facts.get(&(mark.tenant, mark.contact)),
        ) else {
            return MarkResult::LeaseLost;
        };
        if facts.open_attempt == Some(mark.attempt) {
            return decide_committed(mark, facts, queue, lane, self.now);
        }
        if facts.status == ContactStatus::Pending && facts.attempts + 1 != mark.number {
            return MarkResult::Outdated;
        }
        match decision(mark, facts, queue, lane, self.now) {
            Decision::Send => {
                let send_at = lane.next_send_at.map_or(self.now, |slot| slot.max(self.now));
                let next_send_at = advance(lane, mark, self.now);
                self.sends.push(mark);
                MarkResult::Send { send_at, next_send_at, attempts: counted_attempts(facts) + 1 }
            }
            Decision::HoldUntil { at, rule } => MarkResult::Hold { until: at, rule },
            Decision::Skip { rule } => {
                if facts.status == ContactStatus::Pending {
                    self.skips.push((mark.tenant, mark.contact, rule));
                }
                MarkResult::Skip { rule }
            }
        }
    }

    /// False when a contact could not be marked or skipped, because it is not in the state of its facts.
    pub(super) async fn write(
        self,
        conn: &mut PgConnection,
        worker: &str,
        counts: &mut Counts,
    ) -> Result<bool, sqlx::Error> {
        if !self.sends.is_empty() {
            let attempts: Vec<_> = self.sends.iter().map(|mark| attempt_of(mark)).collect();
            if contacts::mark_sending(conn, worker, &attempts, self.now).await? != attempts.len() as u64 {
                return Ok(false);
            }
            let lanes: Vec<_> = self.lanes.into_values().collect();
            lanes::advance(conn, &lanes).await?;
        }
        for mark in &self.sends {
            let change = counts.entry((mark.tenant, mark.queue)).or_default();
            change.pending -= 1;
            change.sending += 1;
        }
        if !self.skips.is_empty() {
            let skipped = contacts::skip(conn, &self.skips, self.now).await?;
            if skipped.len() != self.skips.len() {
                return Ok(false);
            }
            for (tenant, queue, status) in skipped {
                let change = counts.entry((tenant, queue)).or_default();
                change.pending -= 1;
                *change.of(status) += 1;
            }
        }
        Ok(true)
    }
}

/// A repeated mark that was committed the first time. Its slot is reserved; whether it may still be posted is decided
/// again, because its queue may have been paused since.
fn decide_committed(
    mark: &Mark,
    facts: &MarkFacts,
    queue: &LockedQueue,
    lane: &LockedLane,
    now: DateTime<Utc>,
) -> MarkResult {
    let facts =
        MarkFacts { status: ContactStatus::Pending, attempts: facts.attempts - 1, due_at: now, ..facts.clone() };
    let unlimited = LockedLane { next_send_at: None, sent_that_day: 0, ..lane.clone() };
    match decision(mark, &facts, queue, &unlimited, now) {
        Decision::Send => MarkResult::Send {
            send_at: now,
            next_send_at: lane.next_send_at.unwrap_or(now),
            attempts: counted_attempts(&facts) + 1,
        },
        Decision::HoldUntil { at, rule } => MarkResult::Hold { until: at, rule },
        Decision::Skip { rule } => MarkResult::Skip { rule },
    }
}

/// Attempts that count towards the tenant's maximum: neither resends of an unconfirmed contact, nor attempts that were
/// marked and not posted.
fn counted_attempts(facts: &MarkFacts) -> u16 {
    u16::try_from(facts.attempts - facts.resends - facts.unmade).unwrap_or_default()
}

fn decision(mark: &Mark, facts: &MarkFacts, queue: &LockedQueue, lane: &LockedLane, now: DateTime<Utc>) -> Decision {
    let contact = ContactFacts { status: facts.status, due_at: facts.due_at, attempts: counted_attempts(facts) };
    let queue =
        QueueFacts { status: queue.status, message_type: queue.message_type, scheduled_for: queue.scheduled_for };
    let today = mark.tenant_rules.calendar.today(now);
    let sent_today = if lane.sent_on == Some(today) { u32::try_from(lane.sent_that_day).unwrap_or(0) } else { 0 };
    let lane = LaneFacts {
        // The lane has just checked the instance, and the queue's status shows if it was found down since.
        instance_state: InstanceState::Open,
        next_send_at: lane.next_send_at.map(|slot| slot - mark.lead_time),
        sent_today,
        daily_cap: mark.daily_cap,
    };
    decide(&contact, &queue, &mark.tenant_rules, &lane, now)
}

fn advance(lane: &mut LockedLane, mark: &Mark, now: DateTime<Utc>) -> DateTime<Utc> {
    let next = mark.pacing.next_send_at(mark.instance, lane.next_send_at, now, mark.chance());
    let today = mark.tenant_rules.calendar.today(now);
    lane.sent_that_day = if lane.sent_on == Some(today) { lane.sent_that_day.saturating_add(1) } else { 1 };
    lane.sent_on = Some(today);
    lane.next_send_at = Some(next);
    next
}

fn attempt_of(mark: &Mark) -> NewAttempt {
    NewAttempt {
        key: AttemptKey { tenant: mark.tenant, contact: mark.contact, attempt: mark.attempt },
        number: mark.number,
        lease_epoch: mark.epoch,
    }
}
