//! What must hold after every step, and what must hold when everything has come to rest.

use std::collections::HashSet;

use anyhow::ensure;
use regua_domain::{AttemptId, MessageType};
use regua_store::queues;
use uuid::Uuid;

use super::replica::LOOKS;
use super::stage::TYPES;
use super::world::World;

/// Rows that must never be.
const NEVER: &str = "
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
    select 'nobody will claim a pending contact' from contacts c join queues q using (tenant_id, queue_id)
    where c.status = 'pending' and not c.requeued and c.position < q.next_position
    union all
    select 'an attempt whose outcome is known says that it was given up' from attempts
    where settled_by = 'gave_up' and outcome <> 'unknown'";

/// Rows that must not be left.
const NEVER_LEFT: &str = "
    select 'a contact waits to be sent' from contacts where status in ('pending', 'sending') or requeued
    union all
    select 'a lane is held' from lanes where leased_by is not null
    union all
    select 'a queue is not finished' from queues where status not in ('completed', 'cancelled', 'failed')
    union all
    select 'what the database knows to have left is not sent' from contacts c
    where c.status <> 'sent' and exists (
        select from attempts a where a.contact_id = c.contact_id
           and (a.outcome = 'sent' or exists (select from evidence e where e.attempt_id = a.attempt_id and e.has_left)))
    union all
    select 'nobody settled an attempt of unknown outcome' from attempts where outcome = 'unknown' and settled_by is null
    union all
    select 'a contact was sent again without a trace' from contacts c
    where c.resends > (select count(*) from attempts a where a.contact_id = c.contact_id
                       and (a.settled_by = 'resent' or a.outcome <> 'unknown'))";

/// After every step.
pub(super) async fn always(world: &mut World<'_>) -> anyhow::Result<()> {
    none_of(world, NEVER).await?;
    let miscounted = queues::miscounted(&mut *world.stage.pool.acquire().await?, 10).await?;
    ensure!(miscounted.is_empty(), "the counts of {miscounted:?} are not those of its contacts");
    let mut holders = HashSet::new();
    for working in world.workers.iter().filter_map(|worker| worker.working.as_ref()) {
        let epoch = working.session.epoch();
        ensure!(holders.insert((working.lane, epoch)), "two workers hold lane {} with epoch {epoch}", working.lane);
    }
    once(world)
}

#[expect(clippy::disallowed_methods, reason = "a test looks at the tables directly")]
async fn none_of(world: &World<'_>, query: &'static str) -> anyhow::Result<()> {
    let found: Option<String> = sqlx::query_scalar(query).fetch_optional(&world.stage.pool).await?;
    ensure!(found.is_none(), "{}", found.unwrap_or_default());
    Ok(())
}

/// One message for each contact, and one more for each time that it was rightly allowed.
fn once(world: &World<'_>) -> anyhow::Result<()> {
    for (n, person) in world.people.iter().enumerate() {
        let messages = world.gateway.of(&person.reference).count();
        let (by_rule, by_person) = world.resends.get(&n).copied().unwrap_or_default();
        ensure!(by_rule == 0 || TYPES[person.queue] != MessageType::Overdue, "an overdue contact was sent again");
        let allowed = usize::try_from(1 + by_rule + by_person)?;
        ensure!(messages <= allowed, "contact {n} got {messages} messages, and {allowed} was allowed");
    }
    Ok(())
}

/// A contact at the end.
#[derive(sqlx::FromRow)]
struct Row {
    contact_id: Uuid,
    status: String,
    reason: Option<String>,
    message_id: Option<String>,
}

/// An attempt at the end.
#[derive(sqlx::FromRow)]
struct Tried {
    contact_id: Uuid,
    attempt_id: Uuid,
    outcome: String,
    message_id: Option<String>,
}

/// When everything has come to rest.
#[expect(clippy::disallowed_methods, reason = "a test looks at the tables directly")]
pub(super) async fn at_the_end(world: &World<'_>) -> anyhow::Result<()> {
    none_of(world, NEVER_LEFT).await?;
    let attempts: Vec<Tried> = sqlx::query_as("select contact_id, attempt_id, outcome, message_id from attempts")
        .fetch_all(&world.stage.pool)
        .await?;
    for attempt in &attempts {
        attempt_is_true(world, attempt)?;
    }
    let written: HashSet<_> = attempts.iter().map(|attempt| attempt.attempt_id).collect();
    let unwritten = world.gateway.ledger.iter().find(|message| !written.contains(&message.attempt.0));
    ensure!(unwritten.is_none(), "a message left that was never written down: {unwritten:?}");
    let contacts: Vec<Row> = sqlx::query_as("select contact_id, status, reason, message_id from contacts")
        .fetch_all(&world.stage.pool)
        .await?;
    contacts.iter().try_for_each(|row| contact_is_true(world, row, &attempts))
}

/// The reference is the contact's, so a look may take an earlier attempt's message for this one's; but never another
/// contact's.
fn attempt_is_true(world: &World<'_>, attempt: &Tried) -> anyhow::Result<()> {
    let person = world.people.iter().find(|person| person.id == attempt.contact_id).expect("one of ours");
    let outcome = &attempt.outcome;
    match outcome.as_str() {
        "sent" => {
            let id = attempt.message_id.as_deref();
            let is_true = world.gateway.of(&person.reference).any(|message| id.is_none_or(|id| message.id == id));
            ensure!(is_true, "an attempt says that it was sent, as {id:?}, and nothing left");
        }
        "not_sent" | "refused" => {
            let left = world.gateway.ledger.iter().any(|message| message.attempt.0 == attempt.attempt_id);
            ensure!(!left, "an attempt says {outcome}, and its message left");
        }
        _ => {}
    }
    Ok(())
}

fn contact_is_true(world: &World<'_>, row: &Row, attempts: &[Tried]) -> anyhow::Result<()> {
    let n = world.people.iter().position(|person| person.id == row.contact_id).expect("one of ours");
    let messages: Vec<_> = world.gateway.of(&world.people[n].reference).map(|message| message.id.as_str()).collect();
    let status = &row.status;
    match status.as_str() {
        "sent" => {
            ensure!(!messages.is_empty(), "contact {n} is sent, and nothing left");
            let id = row.message_id.as_deref();
            ensure!(id.is_none_or(|id| messages.contains(&id)), "contact {n} has another's message: {id:?}");
        }
        // Given up by a person: the message that nobody could find may have left all the same.
        "failed" | "skipped" | "cancelled" => {
            let was_unfound = row.reason.as_deref() == Some("given_up");
            ensure!(messages.is_empty() || was_unfound, "contact {n} is {status}, and its message left");
        }
        _ => {
            ensure!(status == "unconfirmed", "contact {n} is {status}");
            let of_it = attempts.iter().filter(|attempt| attempt.contact_id == row.contact_id);
            let looks_for = |attempt: &Tried| world.looks.get(&AttemptId(attempt.attempt_id)).copied().unwrap_or(0);
            let looks = of_it.map(looks_for).max().unwrap_or(0);
            ensure!(looks >= LOOKS, "contact {n} was given up after {looks} looks");
        }
    }
    Ok(())
}
