//! The mark: decides on locked lanes and queues which contacts are sent, and writes their attempts before the requests.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use regua_domain::{
    AttemptId, ContactFacts, ContactId, ContactStatus, Decision, InstanceId, InstanceState, LaneFacts, LaneKey,
    QueueFacts, QueueId, Rule, TenantId, decide,
};
use regua_store::contacts::{self, Finish, MarkFacts, NewAttempt, NextState};
use regua_store::lanes::{self, LockedLane};
use regua_store::queues::{ContactMove, LockedQueue};
use sqlx::PgConnection;

use super::Queues;
use crate::lane_configs::LaneConfig;

/// A request to write an attempt before it is posted.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// The lane creates its id, so that a repeated mark is recognized.
    pub(crate) attempt: NewAttempt,
    pub(crate) instance: InstanceId,
    pub(crate) queue: QueueId,
    /// The contact's state at the claim.
    pub(crate) claimed: MarkFacts,
    pub(crate) config: Arc<LaneConfig>,
    /// An earlier request for the same mark was not answered: the mark may be committed.
    pub(crate) is_repeated: bool,
}

impl Mark {
    pub(crate) const fn lane(&self) -> LaneKey {
        LaneKey { tenant: self.attempt.key.tenant, instance: self.instance }
    }

    pub(super) const fn queue_key(&self) -> (TenantId, QueueId) {
        (self.attempt.key.tenant, self.queue)
    }

    pub(super) const fn contact_key(&self) -> (TenantId, ContactId) {
        (self.attempt.key.tenant, self.attempt.key.contact)
    }

    pub(crate) const fn attempt_id(&self) -> AttemptId {
        self.attempt.key.attempt
    }

    /// The request to write the outcome of the attempt.
    pub(crate) fn finish(&self, next: NextState) -> Finish {
        Finish { key: self.attempt.key, queue_id: self.queue, instance_id: self.instance, next }
    }

    fn move_to_sending(&self) -> ContactMove {
        let ((tenant_id, contact_id), queue_id) = (self.contact_key(), self.queue);
        ContactMove { tenant_id, queue_id, contact_id, from: ContactStatus::Pending, to: ContactStatus::Sending }
    }

    /// The random number of the pace's jitter, 0.0 to 1.0, from the random bits of the attempt's id.
    pub(crate) fn jitter_random(&self) -> f64 {
        let (_, random) = self.attempt_id().0.as_u64_pair();
        f64::from(u32::try_from(random & 0xFFFF_FFFF).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

/// A committed mark, or why there is none.
pub(crate) type MarkResult = Result<Slot, NotMarked>;

/// The slot of a committed mark: the task posts once, at `send_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) send_at: DateTime<Utc>,
    /// When the instance may send next.
    pub(crate) next_send_at: DateTime<Utc>,
    /// The attempt's number for the retry schedule.
    pub(crate) attempts: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotMarked {
    /// The contact and its queue must wait.
    Hold {
        until: Option<DateTime<Utc>>,
        rule: Rule,
    },
    /// The contact is never sent: it became `skipped`, or its state was final already.
    Skip,
    /// Another transaction has locked the contact, or changed it since the claim. If the contact is still pending, a
    /// later claim reads it again. The slot is unused, so the instance may send at `next_send_at`.
    Outdated {
        next_send_at: Option<DateTime<Utc>>,
    },
    LeaseLost,
}

/// The marks of one transaction, with the rows that decide them.
pub(super) struct MarkGroup<'a> {
    pub(super) marks: &'a [&'a Mark],
    pub(super) lanes: HashMap<LaneKey, LockedLane>,
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
    lanes: HashMap<LaneKey, LockedLane>,
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
            let is_new = |mark: &&Mark| !written.contains(&mark.attempt_id());
            let sends: Vec<_> = decisions.sends.iter().copied().filter(is_new).collect();
            decisions.skips.retain(|(mark, _)| is_new(mark));
            let mut new = mark_sending(conn, worker, &sends, self.now, moves).await?;
            new.extend(skip(conn, &decisions.skips, self.now, moves).await?);
            let tried = sends.iter().chain(decisions.skips.iter().map(|(mark, _)| mark));
            let before = self.outdated.len();
            self.outdated.extend(tried.map(|mark| mark.attempt_id()).filter(|attempt| !new.contains(attempt)));
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
            decisions.lanes.get_mut(&mark.lane()),
            self.queues.get(&mark.queue_key()),
            self.facts.get(&mark.contact_key()),
        ) else {
            return Err(NotMarked::LeaseLost);
        };
        if facts.open_attempt == Some(mark.attempt_id()) {
            return decide_committed(mark, facts, queue, lane, self.now);
        }
        let is_changed = facts.status == ContactStatus::Pending && facts.attempts + 1 != mark.attempt.number;
        if is_changed || self.outdated.contains(&mark.attempt_id()) {
            return Err(NotMarked::Outdated { next_send_at: lane.next_send_at });
        }
        match decision(mark, facts, queue, lane, self.now) {
            Decision::Send => {
                let send_at = lane.next_send_at.map_or(self.now, |slot| slot.max(self.now));
                let next_send_at = advance(lane, mark, self.now);
                decisions.sends.push(mark);
                Ok(Slot { send_at, next_send_at, attempts: counted_attempts(facts) + 1 })
            }
            Decision::HoldUntil { at, rule } => Err(NotMarked::Hold { until: at, rule }),
            Decision::Skip { rule } => {
                if facts.status == ContactStatus::Pending {
                    decisions.skips.push((mark, rule));
                }
                Err(NotMarked::Skip)
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
    let attempts: Vec<_> = sends.iter().map(|mark| mark.attempt).collect();
    let marked: HashSet<_> = contacts::mark_sending(conn, worker, &attempts, now).await?.into_iter().collect();
    let new = sends.iter().filter(|mark| marked.contains(&mark.attempt_id()));
    moves.extend(new.map(|mark| mark.move_to_sending()));
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
    let row = |(mark, rule): &(&Mark, Rule)| (mark.attempt.key.tenant, mark.attempt.key.contact, *rule);
    let rows: Vec<_> = skips.iter().map(row).collect();
    let moved = contacts::skip(conn, &rows, now).await?;
    let skipped: HashSet<_> = moved.iter().map(|contact| (contact.tenant_id, contact.contact_id)).collect();
    moves.extend(moved);
    let skips = skips.iter().filter(|(mark, _)| skipped.contains(&mark.contact_key()));
    Ok(skips.map(|(mark, _)| mark.attempt_id()).collect())
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
        Decision::Send => Ok(Slot {
            send_at: now,
            next_send_at: lane.next_send_at.unwrap_or(now),
            attempts: counted_attempts(&facts) + 1,
        }),
        Decision::HoldUntil { at, rule } => Err(NotMarked::Hold { until: at, rule }),
        Decision::Skip { .. } => Err(NotMarked::Skip),
    }
}

/// Attempts that count towards the tenant's maximum: all except resends of an unconfirmed contact and attempts that
/// were not posted.
fn counted_attempts(facts: &MarkFacts) -> u16 {
    u16::try_from(facts.attempts - facts.resends - facts.unposted).unwrap_or_default()
}

fn decision(mark: &Mark, facts: &MarkFacts, queue: &LockedQueue, lane: &LockedLane, now: DateTime<Utc>) -> Decision {
    let contact = ContactFacts { status: facts.status, due_at: facts.due_at, attempts: counted_attempts(facts) };
    let queue =
        QueueFacts { status: queue.status, message_type: queue.message_type, scheduled_for: queue.scheduled_for };
    let today = mark.config.tenant.calendar.today(now);
    let sent_today = if lane.sent_on == Some(today) { u32::try_from(lane.sent_that_day).unwrap_or(0) } else { 0 };
    let lane = LaneFacts {
        // The lane has just checked the instance. If a later check finds the instance down, the queue's status says so.
        instance_state: InstanceState::Open,
        next_send_at: lane.next_send_at.map(|slot| slot - mark.config.lead_time()),
        sent_today,
        daily_cap: mark.config.daily_cap,
    };
    decide(&contact, &queue, &mark.config.tenant, &lane, now)
}

fn advance(lane: &mut LockedLane, mark: &Mark, now: DateTime<Utc>) -> DateTime<Utc> {
    let next = mark.config.pacing.next_send_at(mark.instance, lane.next_send_at, now, mark.jitter_random());
    let today = mark.config.tenant.calendar.today(now);
    lane.sent_that_day = if lane.sent_on == Some(today) { lane.sent_that_day.saturating_add(1) } else { 1 };
    lane.sent_on = Some(today);
    lane.next_send_at = Some(next);
    next
}
