//! The invariants after every step, and those of the idle fleet at the end.

use std::collections::HashSet;

use anyhow::ensure;
use regua_domain::{AttemptId, MessageType};
use regua_store::queues;
use uuid::Uuid;

use super::case::Case;
use super::fixture::TYPES;
use super::replica::LOOKS;

/// Rows that must not exist after any step.
const FORBIDDEN: &str = "
    select 'the numbers of a contact''s attempts have gaps' from attempts
    group by contact_id having min(number) <> 1 or max(number) <> count(*)
    union all
    select 'a contact does not count its attempts' from contacts c
    where c.attempts <> (c.status = 'sending')::integer + (select count(*) from attempts a where a.contact_id = c.contact_id)
    union all
    select 'an attempt is under way and has an outcome' from contacts c join attempts a using (contact_id, attempt_id)
    where c.status = 'sending'
    union all
    select 'a takeover will not find an attempt that is under way' from contacts c join queues q using (tenant_id, queue_id)
    where c.status = 'sending' and not c.requeued and c.position < q.next_position
    union all
    select 'a contact that is known to have its message is to be sent again' from contacts c
    where c.status = 'pending' and exists (
        select from attempts a where a.contact_id = c.contact_id
           and (a.outcome = 'sent' or exists (select from evidence e where e.attempt_id = a.attempt_id and e.has_left)))
    union all
    select 'no claim will find a pending contact' from contacts c join queues q using (tenant_id, queue_id)
    where c.status = 'pending' and not c.requeued and c.position < q.next_position
    union all
    select 'an attempt with a known outcome is recorded as given up' from attempts
    where settled_by = 'gave_up' and outcome <> 'unknown'";

/// Rows that must not exist at the end.
const UNFINISHED: &str = "
    select 'a contact waits to be sent' from contacts where status in ('pending', 'sending') or requeued
    union all
    select 'a lane is held' from lanes where leased_by is not null
    union all
    select 'a queue is not finished' from queues where status not in ('completed', 'cancelled', 'failed')
    union all
    select 'a contact with a proven message is not sent' from contacts c
    where c.status <> 'sent' and exists (
        select from attempts a where a.contact_id = c.contact_id
           and (a.outcome = 'sent' or exists (select from evidence e where e.attempt_id = a.attempt_id and e.has_left)))
    union all
    select 'an attempt of unknown outcome is unresolved' from attempts where outcome = 'unknown' and settled_by is null
    union all
    select 'a contact was sent again without a trace' from contacts c
    where c.resends > (select count(*) from attempts a where a.contact_id = c.contact_id
                       and (a.settled_by = 'resent' or a.outcome <> 'unknown'))";

/// Checks the invariants of every step.
pub(super) async fn check_step(case: &mut Case<'_>) -> anyhow::Result<()> {
    ensure_no_row(case, FORBIDDEN).await?;
    let miscounted = queues::list_miscounted(&mut *case.fixture.pool.acquire().await?, 10).await?;
    ensure!(miscounted.is_empty(), "the counts of {miscounted:?} differ from its contacts");
    let mut holders = HashSet::new();
    for held in case.workers.iter().filter_map(|worker| worker.held.as_ref()) {
        let epoch = held.manual.epoch();
        ensure!(holders.insert((held.lane, epoch)), "two workers hold lane {} with epoch {epoch}", held.lane);
    }
    check_message_counts(case)
}

#[expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]
async fn ensure_no_row(case: &Case<'_>, query: &'static str) -> anyhow::Result<()> {
    let found: Option<String> = sqlx::query_scalar(query).fetch_optional(&case.fixture.pool).await?;
    ensure!(found.is_none(), "{}", found.unwrap_or_default());
    Ok(())
}

/// At most one message for each contact, and one more for each allowed resend.
fn check_message_counts(case: &Case<'_>) -> anyhow::Result<()> {
    for (n, contact) in case.contacts.iter().enumerate() {
        let messages = case.gateway.of(&contact.reference).count();
        let (by_policy, by_operator) = case.resends.get(&n).copied().unwrap_or_default();
        ensure!(by_policy == 0 || TYPES[contact.queue] != MessageType::Overdue, "an overdue contact was sent again");
        let allowed = usize::try_from(1 + by_policy + by_operator)?;
        ensure!(messages <= allowed, "contact {n} got {messages} messages, and {allowed} was allowed");
    }
    Ok(())
}

/// A contact at the end.
#[derive(sqlx::FromRow)]
struct ContactRow {
    contact_id: Uuid,
    status: String,
    reason: Option<String>,
    message_id: Option<String>,
}

/// An attempt at the end.
#[derive(sqlx::FromRow)]
struct AttemptRow {
    contact_id: Uuid,
    attempt_id: Uuid,
    outcome: String,
    message_id: Option<String>,
}

/// Checks the invariants of the idle fleet.
#[expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]
pub(super) async fn check_end(case: &Case<'_>) -> anyhow::Result<()> {
    ensure_no_row(case, UNFINISHED).await?;
    let attempts: Vec<AttemptRow> = sqlx::query_as("select contact_id, attempt_id, outcome, message_id from attempts")
        .fetch_all(&case.fixture.pool)
        .await?;
    for attempt in &attempts {
        check_attempt(case, attempt)?;
    }
    let marked: HashSet<_> = attempts.iter().map(|attempt| attempt.attempt_id).collect();
    let unmarked = case.gateway.ledger.iter().find(|message| !marked.contains(&message.attempt.0));
    ensure!(unmarked.is_none(), "a message left whose attempt was never marked: {unmarked:?}");
    let contacts: Vec<ContactRow> = sqlx::query_as("select contact_id, status, reason, message_id from contacts")
        .fetch_all(&case.fixture.pool)
        .await?;
    contacts.iter().try_for_each(|row| check_contact(case, row, &attempts))
}

/// The reference belongs to the contact, so a look may find the message of an earlier attempt, but never of another
/// contact.
fn check_attempt(case: &Case<'_>, attempt: &AttemptRow) -> anyhow::Result<()> {
    let contact =
        case.contacts.iter().find(|contact| contact.id == attempt.contact_id).expect("a contact of this case");
    let outcome = &attempt.outcome;
    match outcome.as_str() {
        "sent" => {
            let id = attempt.message_id.as_deref();
            let is_true = case.gateway.of(&contact.reference).any(|message| id.is_none_or(|id| message.id == id));
            ensure!(is_true, "an attempt is recorded as sent, as {id:?}, and no message left");
        }
        "not_sent" | "refused" => {
            let left = case.gateway.ledger.iter().any(|message| message.attempt.0 == attempt.attempt_id);
            ensure!(!left, "an attempt is recorded as {outcome}, and its message left");
        }
        _ => {}
    }
    Ok(())
}

fn check_contact(case: &Case<'_>, row: &ContactRow, attempts: &[AttemptRow]) -> anyhow::Result<()> {
    let n = case.contacts.iter().position(|contact| contact.id == row.contact_id).expect("a contact of this case");
    let messages: Vec<_> = case.gateway.of(&case.contacts[n].reference).map(|message| message.id.as_str()).collect();
    let status = &row.status;
    match status.as_str() {
        "sent" => {
            ensure!(!messages.is_empty(), "contact {n} is sent, and no message left");
            let id = row.message_id.as_deref();
            ensure!(
                id.is_none_or(|id| messages.contains(&id)),
                "contact {n} has the message of another contact: {id:?}"
            );
        }
        // An operator gave it up: a message that no look found may have left.
        "failed" | "skipped" | "cancelled" => {
            let was_given_up = row.reason.as_deref() == Some("given_up");
            ensure!(messages.is_empty() || was_given_up, "contact {n} is {status}, and its message left");
        }
        _ => {
            ensure!(status == "unconfirmed", "contact {n} is {status}");
            let own_attempts = attempts.iter().filter(|attempt| attempt.contact_id == row.contact_id);
            let looks_for = |attempt: &AttemptRow| case.looks.get(&AttemptId(attempt.attempt_id)).copied().unwrap_or(0);
            let looks = own_attempts.map(looks_for).max().unwrap_or(0);
            ensure!(looks >= LOOKS, "contact {n} was given up after {looks} looks");
        }
    }
    Ok(())
}
