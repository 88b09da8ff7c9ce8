//! The mark: decides on locked lanes and queues which contacts are sent, and writes their attempts before the requests.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{
    AttemptId, ContactFacts, ContactId, ContactStatus, Decision, InstanceId, InstanceState, LaneFacts, Pacing,
    QueueFacts, QueueId, Rule, TenantId, TenantRules, decide,
};
use regua_store::attempts::AttemptKey;
use regua_store::contacts::{self, MarkFacts, NewAttempt};
use regua_store::lanes::{self, LockedLane};
use regua_store::queues::{ContactMove, LockedQueue};
use sqlx::PgConnection;

use super::Queues;

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
    /// The lane creates the id, so that a repeated mark is recognized.
    pub(crate) attempt: AttemptId,
    pub(crate) number: i16,
    pub(crate) tenant_rules: Arc<TenantRules>,
    pub(crate) pacing: Pacing,
    /// How long before its slot the attempt may be marked. The post waits for the slot.
    pub(crate) lead_time: TimeDelta,
    pub(crate) daily_cap: Option<u32>,
    /// An earlier request for the same mark was not answered: the mark may be committed.
    pub(crate) is_repeated: bool,
}

impl Mark {
    fn moved_to(&self, to: ContactStatus) -> ContactMove {
        let Self { tenant: tenant_id, queue: queue_id, contact: contact_id, .. } = *self;
        ContactMove { tenant_id, queue_id, contact_id, from: ContactStatus::Pending, to }
    }

    /// The random number of the pace's jitter, 0.0 to 1.0, from the random bits of the attempt's id.
    pub(crate) fn chance(&self) -> f64 {
        let (_, random) = self.attempt.0.as_u64_pair();
        f64::from(u32::try_from(random & 0xFFFF_FFFF).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkResult {
    /// The mark is committed: the task posts once, at `send_at`. `attempts` is the attempt's number for the retry
    /// schedule.
    Send {
        send_at: DateTime<Utc>,
        next_send_at: DateTime<Utc>,
        attempts: u16,
    },
    Hold {
        until: Option<DateTime<Utc>>,
        rule: Rule,
    },
    /// The contact is never sent: it became `skipped`, or its state was final already.
    Skip {
        rule: Rule,
    },
    /// Another transaction has locked the contact, or changed it since the claim. If the contact is still pending, a
    /// later claim reads it again. The lane's slot is unused.
    Outdated {
        next_send_at: Option<DateTime<Utc>>,
    },
    LeaseLost,
}

/// The marks of one transaction, with the rows that decide them.
pub(super) struct MarkGroup<'a> {
    pub(super) marks: &'a [&'a Mark],
    pub(super) lanes: HashMap<(TenantId, InstanceId), LockedLane>,
    pub(super) queues: &'a Queues,
    pub(super) facts: HashMap<(TenantId, ContactId), MarkFacts>,
    /// Attempts whose contacts the transaction could not mark or skip.
    pub(super) outdated: HashSet<AttemptId>,
    pub(super) now: DateTime<Utc>,
}

/// The results of the marks, in the order of the marks, and the rows to write.
struct Decisions<'a> {
    results: Vec<MarkResult>,
    sends: Vec<&'a Mark>,
    skips: Vec<(&'a Mark, Rule)>,
    /// The lanes after the sends: next slots and daily counts.
    lanes: HashMap<(TenantId, InstanceId), LockedLane>,
}

impl<'a> MarkGroup<'a> {
    /// Writes the marks; returns their results in the order of the marks.
    ///
    /// The statements leave out a contact that another transaction has locked or changed since the claim. Its mark is
    /// outdated. Each round that finds outdated marks is followed by another one, which decides again without them:
    /// their slots and places of the daily cap go to the other marks of the lane.
    pub(super) async fn write(
        mut self,
        conn: &mut PgConnection,
        worker: &str,
        moves: &mut Vec<ContactMove>,
    ) -> Result<Vec<MarkResult>, sqlx::Error> {
        let mut written = HashSet::new();
        loop {
            let mut decisions = self.decide();
            let is_new = |mark: &&Mark| !written.contains(&mark.attempt);
            let sends: Vec<_> = decisions.sends.iter().copied().filter(is_new).collect();
            decisions.skips.retain(|(mark, _)| is_new(mark));
            let mut new = mark_sending(conn, worker, &sends, self.now, moves).await?;
            new.extend(skip(conn, &decisions.skips, self.now, moves).await?);
            let tried = sends.iter().chain(decisions.skips.iter().map(|(mark, _)| mark));
            let before = self.outdated.len();
            self.outdated.extend(tried.map(|mark| mark.attempt).filter(|attempt| !new.contains(attempt)));
            written.extend(new);
            if self.outdated.len() == before {
                if !decisions.sends.is_empty() {
                    lanes::advance(conn, &decisions.lanes.into_values().collect::<Vec<_>>()).await?;
                }
                return Ok(decisions.results);
            }
        }
    }

    fn decide(&self) -> Decisions<'a> {
        let results = Vec::with_capacity(self.marks.len());
        let mut decisions = Decisions { results, sends: Vec::new(), skips: Vec::new(), lanes: self.lanes.clone() };
        for mark in self.marks {
            let result = self.decide_one(mark, &mut decisions);
            decisions.results.push(result);
        }
        decisions
    }

    fn decide_one(&self, mark: &'a Mark, decisions: &mut Decisions<'a>) -> MarkResult {
        let (Some(lane), Some(queue), Some(facts)) = (
            decisions.lanes.get_mut(&(mark.tenant, mark.instance)),
            self.queues.get(&(mark.tenant, mark.queue)),
            self.facts.get(&(mark.tenant, mark.contact)),
        ) else {
            return MarkResult::LeaseLost;
        };
        if facts.open_attempt == Some(mark.attempt) {
            return decide_committed(mark, facts, queue, lane, self.now);
        }
        let is_changed = facts.status == ContactStatus::Pending && facts.attempts + 1 != mark.number;
        if is_changed || self.outdated.contains(&mark.attempt) {
            return MarkResult::Outdated { next_send_at: lane.next_send_at };
        }
        match decision(mark, facts, queue, lane, self.now) {
            Decision::Send => {
                let send_at = lane.next_send_at.map_or(self.now, |slot| slot.max(self.now));
                let next_send_at = advance(lane, mark, self.now);
                decisions.sends.push(mark);
                MarkResult::Send { send_at, next_send_at, attempts: counted_attempts(facts) + 1 }
            }
            Decision::HoldUntil { at, rule } => MarkResult::Hold { until: at, rule },
            Decision::Skip { rule } => {
                if facts.status == ContactStatus::Pending {
                    decisions.skips.push((mark, rule));
                }
                MarkResult::Skip { rule }
            }
        }
    }
}

/// Returns the attempts that were marked.
async fn mark_sending(
    conn: &mut PgConnection,
    worker: &str,
    sends: &[&Mark],
    now: DateTime<Utc>,
    moves: &mut Vec<ContactMove>,
) -> Result<HashSet<AttemptId>, sqlx::Error> {
    if sends.is_empty() {
        return Ok(HashSet::new());
    }
    let attempts: Vec<_> = sends.iter().map(|mark| attempt_of(mark)).collect();
    let marked: HashSet<_> = contacts::mark_sending(conn, worker, &attempts, now).await?.into_iter().collect();
    let new = sends.iter().filter(|mark| marked.contains(&mark.attempt));
    moves.extend(new.map(|mark| mark.moved_to(ContactStatus::Sending)));
    Ok(marked)
}

/// Returns the attempts whose contacts were skipped.
async fn skip(
    conn: &mut PgConnection,
    skips: &[(&Mark, Rule)],
    now: DateTime<Utc>,
    moves: &mut Vec<ContactMove>,
) -> Result<HashSet<AttemptId>, sqlx::Error> {
    if skips.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<_> = skips.iter().map(|(mark, rule)| (mark.tenant, mark.contact, *rule)).collect();
    let skipped: HashMap<_, _> = contacts::skip(conn, &rows, now).await?.into_iter().collect();
    let mut attempts = HashSet::new();
    for (mark, _) in skips {
        let Some(status) = skipped.get(&(mark.tenant, mark.contact)) else { continue };
        moves.push(mark.moved_to(*status));
        attempts.insert(mark.attempt);
    }
    Ok(attempts)
}

/// Decides about a repeated mark that was committed before. The mark has its slot already. Whether the attempt may
/// still be posted is decided again, because the queue may have been paused since.
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

/// Attempts that count towards the tenant's maximum: all except resends of an unconfirmed contact and attempts that
/// were not posted.
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
        // The lane has just checked the instance. If a later check finds the instance down, the queue's status says so.
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
