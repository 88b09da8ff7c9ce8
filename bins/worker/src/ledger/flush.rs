//! One transaction of the ledger. Locks are taken in the order that holds everywhere: lanes, queues, contacts.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use fail::fail_point;
use regua_domain::{
    ContactFacts, ContactId, ContactStatus, Decision, InstanceId, InstanceState, LaneFacts, QueueFacts, QueueId,
    QueueStatus, TenantId, decide,
};
use regua_store::attempts::{self, AttemptKey};
use regua_store::contacts::{self, Finding, MarkFacts, NewAttempt};
use regua_store::evidence::Source;
use regua_store::lanes::{self, LockedLane};
use regua_store::queues::{self, CountChange, LockedQueue};
use sqlx::{Connection, PgConnection};

use super::{Finish, Mark, Marked};

type Counts = BTreeMap<(TenantId, QueueId), CountChange>;
type Queues = HashMap<(TenantId, QueueId), LockedQueue>;

/// What is known of the contacts that are to be marked.
#[derive(Clone, Copy)]
enum Known {
    /// What the claim saw. It still holds as long as the contact can be marked, which the mark itself makes sure of.
    AsClaimed,
    /// What was read under the locks.
    Read,
}

/// Writes outcomes and marks; answers what became of each mark, in their order.
pub(crate) async fn flush(
    conn: &mut PgConnection,
    worker: &str,
    marks: &[&Mark],
    finishes: &[&Finish],
    now: DateTime<Utc>,
) -> Result<Vec<Marked>, sqlx::Error> {
    if !marks.iter().any(|mark| mark.is_repeated)
        && let Some(marked) = write(conn, worker, marks, finishes, Known::AsClaimed, now).await?
    {
        return Ok(marked);
    }
    let marked = write(conn, worker, marks, finishes, Known::Read, now).await?;
    marked.ok_or_else(|| sqlx::Error::Protocol("a mark found its contact changed under its locks".into()))
}

/// One transaction; none, and nothing written, when a contact is not what it is taken for.
async fn write(
    conn: &mut PgConnection,
    worker: &str,
    marks: &[&Mark],
    finishes: &[&Finish],
    known: Known,
    now: DateTime<Utc>,
) -> Result<Option<Vec<Marked>>, sqlx::Error> {
    let mut transaction = conn.begin().await?;
    let conn = &mut *transaction;
    let lanes = lock_lanes(conn, marks).await?;
    let queues = lock_queues(conn, marks, finishes).await?;
    let mut counts = Counts::new();
    if !finishes.is_empty() {
        write_outcomes(conn, finishes, &queues, &mut counts, now).await?;
    }
    let mut marked = Vec::new();
    if !marks.is_empty() {
        let facts = match known {
            Known::AsClaimed => marks.iter().map(|mark| ((mark.tenant, mark.contact), mark.claimed.clone())).collect(),
            Known::Read => read_facts(conn, marks).await?,
        };
        let mut judge = Judge { lanes, queues: &queues, facts, sends: Vec::new(), skips: Vec::new(), now };
        marked = marks.iter().map(|mark| judge.judge(mark)).collect();
        if !judge.write(conn, worker, &mut counts).await? {
            transaction.rollback().await?;
            return Ok(None);
        }
    }
    let changes: Vec<_> = counts.into_iter().map(|((tenant, queue), change)| (tenant, queue, change)).collect();
    if !changes.is_empty() {
        queues::change_counts(conn, &changes, now).await?;
    }
    if !marks.is_empty() {
        fail_point!("mark::before_commit");
    }
    if !finishes.is_empty() {
        fail_point!("finish::before_commit");
    }
    transaction.commit().await?;
    if !finishes.is_empty() {
        fail_point!("finish::committed");
    }
    fail_point!("flush::unanswered", |_| Err(sqlx::Error::PoolTimedOut));
    Ok(Some(marked))
}

async fn lock_lanes(
    conn: &mut PgConnection,
    marks: &[&Mark],
) -> Result<HashMap<(TenantId, InstanceId), LockedLane>, sqlx::Error> {
    let mut wanted: Vec<_> = marks.iter().map(|mark| (mark.tenant, mark.instance, mark.epoch)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let locked = lanes::lock(conn, &wanted).await?;
    Ok(locked.into_iter().map(|lane| ((lane.tenant_id, lane.instance_id), lane)).collect())
}

async fn lock_queues(conn: &mut PgConnection, marks: &[&Mark], finishes: &[&Finish]) -> Result<Queues, sqlx::Error> {
    let marked = marks.iter().map(|mark| (mark.tenant, mark.queue));
    let mut wanted: Vec<_> = marked.chain(finishes.iter().map(|finish| (finish.tenant, finish.queue))).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let locked = queues::lock(conn, &wanted).await?;
    Ok(locked.into_iter().map(|queue| ((queue.tenant_id, queue.queue_id), queue)).collect())
}

async fn write_outcomes(
    conn: &mut PgConnection,
    finishes: &[&Finish],
    queues: &Queues,
    counts: &mut Counts,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let outcomes: Vec<_> = finishes.iter().map(|finish| outcome_row(finish, queues)).collect();
    let (sent, others): (Vec<_>, Vec<_>) = outcomes.iter().partition(|outcome| outcome.outcome == "sent");
    let mut finished = Vec::with_capacity(outcomes.len());
    if !sent.is_empty() {
        finished = contacts::finish_sent(conn, &sent, now).await?;
    }
    if !others.is_empty() {
        finished.extend(contacts::finish(conn, &others, now).await?);
    }
    for contact in &finished {
        let change = counts.entry((contact.tenant_id, contact.queue_id)).or_default();
        change.sending -= 1;
        *change.of(contact.status) += 1;
    }
    let written: HashSet<_> = finished.iter().map(|contact| contact.attempt_id).collect();
    for outcome in outcomes.iter().filter(|outcome| !written.contains(&outcome.key.attempt)) {
        learn_late(conn, outcome, now).await?;
    }
    Ok(())
}

/// The attempt was closed by whoever took the lane over, and only we know what became of it. Our answer cannot overwrite
/// what its new owner wrote, but it is evidence like any other.
async fn learn_late(
    conn: &mut PgConnection,
    outcome: &contacts::Finish,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let finding = match outcome.outcome {
        "sent" => Finding::Left { message_id: outcome.message_id.clone(), at: now },
        "unknown" => {
            // It knows no more than its successor, but perhaps why: an answer that probably came after the message left
            // must not be forgotten.
            let reason = outcome.reason.as_deref();
            return attempts::note_reason(conn, outcome.key, reason, now).await;
        }
        certain => Finding::NotLeft {
            outcome: certain,
            reason: outcome.reason.clone(),
            status: outcome.status,
            due_at: outcome.due_at,
        },
    };
    let learnt = contacts::learn(conn, outcome.key, Source::LateAnswer, &finding, None, now).await?;
    tracing::warn!(attempt_id = %outcome.key.attempt, outcome = outcome.outcome, ?learnt, "an outcome came after its lane was taken over");
    Ok(())
}

/// A contact that would be tried again is cancelled instead when its queue was cancelled meanwhile.
fn outcome_row(finish: &Finish, queues: &Queues) -> contacts::Finish {
    let verdict = &finish.verdict;
    let is_cancelled =
        queues.get(&(finish.tenant, finish.queue)).is_some_and(|queue| queue.status == QueueStatus::Cancelled);
    let status = match verdict.status {
        ContactStatus::Pending if is_cancelled => ContactStatus::Cancelled,
        status => status,
    };
    contacts::Finish {
        key: AttemptKey { tenant: finish.tenant, contact: finish.contact, attempt: finish.attempt },
        instance_id: finish.instance,
        outcome: verdict.outcome,
        reason: verdict.reason.clone(),
        message_id: verdict.message_id.clone(),
        status,
        due_at: verdict.due_at.filter(|_| status == ContactStatus::Pending),
    }
}

async fn read_facts(
    conn: &mut PgConnection,
    marks: &[&Mark],
) -> Result<HashMap<(TenantId, ContactId), MarkFacts>, sqlx::Error> {
    let wanted: Vec<_> = marks.iter().map(|mark| (mark.tenant, mark.contact)).collect();
    let facts = contacts::mark_facts(conn, &wanted).await?;
    Ok(facts.into_iter().map(|facts| ((facts.tenant_id, facts.contact_id), facts)).collect())
}

/// Decides each mark on the locked rows, and gathers what is to be written.
struct Judge<'a> {
    lanes: HashMap<(TenantId, InstanceId), LockedLane>,
    queues: &'a Queues,
    facts: HashMap<(TenantId, ContactId), MarkFacts>,
    sends: Vec<&'a Mark>,
    skips: Vec<(TenantId, ContactId, String)>,
    now: DateTime<Utc>,
}

impl<'a> Judge<'a> {
    fn judge(&mut self, mark: &'a Mark) -> Marked {
        let (Some(lane), Some(queue), Some(facts)) = (
            self.lanes.get_mut(&(mark.tenant, mark.instance)),
            self.queues.get(&(mark.tenant, mark.queue)),
            self.facts.get(&(mark.tenant, mark.contact)),
        ) else {
            return Marked::LaneLost;
        };
        if facts.open_attempt == Some(mark.attempt) {
            return repeated(mark, facts, queue, lane, self.now);
        }
        if facts.status == ContactStatus::Pending && facts.attempts + 1 != mark.number {
            return Marked::Outdated;
        }
        match decision(mark, facts, queue, lane, self.now) {
            Decision::Send => {
                let send_at = lane.next_send_at.map_or(self.now, |slot| slot.max(self.now));
                let next_send_at = advance(lane, mark, self.now);
                self.sends.push(mark);
                Marked::Send { send_at, next_send_at, tries: tries(facts) + 1 }
            }
            Decision::HoldUntil { at, rule } => Marked::Hold { at, rule },
            Decision::Skip { rule } => {
                if facts.status == ContactStatus::Pending {
                    self.skips.push((mark.tenant, mark.contact, rule.as_str().to_owned()));
                }
                Marked::Skip { rule }
            }
        }
    }

    /// False when a contact could not be marked or skipped, because it is not what it was taken for.
    async fn write(self, conn: &mut PgConnection, worker: &str, counts: &mut Counts) -> Result<bool, sqlx::Error> {
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

/// A mark that was committed before, its answer lost on the way. Its slot is its own already; whether it may still be sent
/// is asked again, because a pause may have been answered since.
fn repeated(mark: &Mark, facts: &MarkFacts, queue: &LockedQueue, lane: &LockedLane, now: DateTime<Utc>) -> Marked {
    let facts =
        MarkFacts { status: ContactStatus::Pending, attempts: facts.attempts - 1, due_at: now, ..facts.clone() };
    let free = LockedLane { next_send_at: None, sent_that_day: 0, ..lane.clone() };
    match decision(mark, &facts, queue, &free, now) {
        Decision::Send => {
            Marked::Send { send_at: now, next_send_at: lane.next_send_at.unwrap_or(now), tries: tries(&facts) + 1 }
        }
        Decision::HoldUntil { at, rule } => Marked::Hold { at, rule },
        Decision::Skip { rule } => Marked::Skip { rule },
    }
}

/// Tries that count: one that was allowed because nobody knows what became of another is beside the count, and one that
/// was written down and not made is none.
fn tries(facts: &MarkFacts) -> u16 {
    u16::try_from(facts.attempts - facts.resends - facts.unmade).unwrap_or_default()
}

fn decision(mark: &Mark, facts: &MarkFacts, queue: &LockedQueue, lane: &LockedLane, now: DateTime<Utc>) -> Decision {
    let contact = ContactFacts { status: facts.status, due_at: facts.due_at, attempts: tries(facts) };
    let queue =
        QueueFacts { status: queue.status, message_type: queue.message_type, scheduled_for: queue.scheduled_for };
    let today = mark.rules.calendar.today(now);
    let sent_today = if lane.sent_on == Some(today) { u32::try_from(lane.sent_that_day).unwrap_or(0) } else { 0 };
    let lane = LaneFacts {
        // The lane has looked a moment ago, and the queue's own state says if somebody found it down since.
        instance_state: InstanceState::Open,
        next_send_at: lane.next_send_at.map(|slot| slot - mark.ahead),
        sent_today,
        daily_cap: mark.daily_cap,
    };
    decide(&contact, &queue, &mark.rules, &lane, now)
}

fn advance(lane: &mut LockedLane, mark: &Mark, now: DateTime<Utc>) -> DateTime<Utc> {
    let next = mark.pacing.next_send_at(mark.instance, lane.next_send_at, now, mark.chance());
    let today = mark.rules.calendar.today(now);
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
