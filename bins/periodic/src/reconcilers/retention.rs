//! Erases and deletes data whose retention is over, and completes requested erasures of contacts that were being sent.
//! Each step is a small transaction under an advisory lock.

use std::pin::Pin;

use chrono::{DateTime, Utc};
use fail::fail_point;
use regua_domain::PhoneNumber;
use regua_secrets::DebtorKeys;
use regua_store::contacts::{self, DueErasure, Erasable, Hashes};
use regua_store::{advisory_locks, events, retention, templates, transact, webhook_events};
use sqlx::PgConnection;

use crate::context::Context;

/// Advisory locks. The other reconcilers have the numbers from 1 to 6.
const ERASURES_LOCK: i32 = 7;
const RETENTION_LOCK: i32 = 8;
const EVENTS_LOCK: i32 = 9;
/// Most rows of one step.
const ROWS: i64 = 500;
/// Most events of one step: small rows without personal data.
const EVENTS: i64 = 10_000;
/// Most steps of one kind in one pass.
const STEPS: usize = 50;

struct StepResult {
    rows: u64,
    has_more: bool,
}

const NOTHING: StepResult = StepResult { rows: 0, has_more: false };

type StepFuture<'a> = Pin<Box<dyn Future<Output = anyhow::Result<StepResult>> + Send + 'a>>;
type Step = for<'a> fn(&'a mut PgConnection, &'a DebtorKeys, DateTime<Utc>) -> StepFuture<'a>;

/// The steps of retention, with their labels in the metric.
const KINDS: [(&str, Step); 4] = [
    ("personal_data", |conn, keys, now| Box::pin(erase_old(conn, keys, now))),
    ("batches", |conn, _, now| Box::pin(delete_old(conn, now))),
    ("sessions", |conn, _, now| Box::pin(delete_sessions(conn, now))),
    ("template_versions", |conn, _, now| Box::pin(delete_versions(conn, now))),
];

/// Erases and deletes data whose retention is over.
pub(crate) async fn pass(context: &Context) -> anyhow::Result<u64> {
    let mut rows = 0;
    for (what, step) in KINDS {
        rows += run_steps(context, RETENTION_LOCK, what, step).await?;
    }
    Ok(rows)
}

/// Completes requested erasures. This pass runs more often than retention, because a person waits for the erasure.
pub(crate) async fn erasures_pass(context: &Context) -> anyhow::Result<u64> {
    run_steps(context, ERASURES_LOCK, "asked", |conn, _, now| Box::pin(erase_requested(conn, now))).await
}

/// Deletes events over age: apart from retention, so that neither uses up the other's steps.
pub(crate) async fn events_pass(context: &Context) -> anyhow::Result<u64> {
    run_steps(context, EVENTS_LOCK, "events", |conn, _, now| Box::pin(delete_events(conn, now))).await
}

async fn run_steps(context: &Context, lock: i32, what: &'static str, step: Step) -> anyhow::Result<u64> {
    let keys = DebtorKeys::of(&context.secrets);
    let mut rows = 0;
    for _ in 0..STEPS {
        let stepping = transact(&context.pool, async |conn| -> anyhow::Result<_> {
            if !advisory_locks::try_for_transaction(conn, lock).await? {
                return Ok(NOTHING);
            }
            let result = step(conn, &keys, context.clock.now()).await?;
            if result.rows > 0 {
                fail_point!("retention::before_commit");
            }
            Ok(result)
        });
        let result = stepping.await?;
        if result.rows > 0 {
            fail_point!("retention::committed");
        }
        rows += result.rows;
        context.metrics.data_erased.with_label_values(&[what]).inc_by(result.rows);
        if !result.has_more {
            break;
        }
    }
    if rows > 0 {
        tracing::info!(what, count = rows, "data was erased or deleted");
    }
    Ok(rows)
}

/// Erases some contacts of a finished batch, and closes the batch after its last contact.
async fn erase_old(conn: &mut PgConnection, keys: &DebtorKeys, now: DateTime<Utc>) -> anyhow::Result<StepResult> {
    let Some((tenant, queue)) = retention::take_queue(conn, now).await? else { return Ok(NOTHING) };
    let found = retention::list_contacts(conn, tenant, queue, ROWS).await?;
    let erasable: Vec<_> = found
        .iter()
        .map(|(contact_id, phone)| Erasable { contact_id: *contact_id, hashes: keys.hashes(tenant, phone, None) })
        .collect();
    let erased = contacts::erase(conn, tenant, &erasable, now).await?.erased;
    if i64::try_from(found.len())? < ROWS {
        retention::mark_erased(conn, tenant, queue, now).await?;
    }
    Ok(StepResult { rows: erased, has_more: true })
}

async fn delete_old(conn: &mut PgConnection, now: DateTime<Utc>) -> anyhow::Result<StepResult> {
    let has_more = retention::delete_batch(conn, now).await?;
    Ok(StepResult { rows: has_more.into(), has_more })
}

async fn delete_sessions(conn: &mut PgConnection, now: DateTime<Utc>) -> anyhow::Result<StepResult> {
    let rows = retention::delete_old(conn, now, ROWS).await?;
    Ok(StepResult { rows, has_more: i64::try_from(rows)? >= ROWS })
}

async fn delete_versions(conn: &mut PgConnection, now: DateTime<Utc>) -> anyhow::Result<StepResult> {
    let rows = templates::delete_old_versions(conn, now, ROWS).await?;
    Ok(StepResult { rows, has_more: i64::try_from(rows)? >= ROWS })
}

/// Each step deletes the events of one tenant, so the next step may find another tenant.
async fn delete_events(conn: &mut PgConnection, now: DateTime<Utc>) -> anyhow::Result<StepResult> {
    let rows = events::delete_old(conn, now, EVENTS).await?;
    Ok(StepResult { rows, has_more: rows > 0 })
}

/// Erases the contacts of one tenant that were being sent when their erasure was requested.
async fn erase_requested(conn: &mut PgConnection, now: DateTime<Utc>) -> anyhow::Result<StepResult> {
    let found = contacts::list_due_erasures(conn, ROWS).await?;
    let Some(tenant) = found.first().map(|due| due.tenant_id) else { return Ok(NOTHING) };
    let of_tenant: Vec<_> = found.into_iter().filter(|due| due.tenant_id == tenant).collect();
    // The hashes were stored with the request.
    let erasable = |due: &DueErasure| Erasable { contact_id: due.contact_id, hashes: Hashes::default() };
    let erased = contacts::erase(conn, tenant, &of_tenant.iter().map(erasable).collect::<Vec<_>>(), now).await?.erased;
    // The gateway may have reported the messages since the request.
    let numbers = of_tenant.iter().filter_map(|due| PhoneNumber::from_stored(&due.phone).ok());
    let lines = numbers.flat_map(|number| number.same_line());
    let digits: Vec<_> = lines.map(|line| line.digits().to_owned()).collect();
    webhook_events::delete_containing(conn, tenant, &digits).await?;
    Ok(StepResult { rows: erased, has_more: erased > 0 })
}
