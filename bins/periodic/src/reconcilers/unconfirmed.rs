//! Looks for the messages of unknown attempts in the gateway's history, several times over two hours. If the last look
//! finds nothing, the contact waits for an operator decision, or is resent if the tenant's rule for the message type
//! allows it.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use fail::fail_point;
use futures_util::future::join_all;
use regua_broker::{Doorbell, ring};
use regua_domain::{EvidenceSource, PhoneNumber, QueueStatus, Reference, Resolution, UnfoundAttempt, should_resend};
use regua_evolution::{LookResult, Reason, Search};
use regua_secrets::open_address;
use regua_store::attempts::{self, UnknownAttempt};
use regua_store::contacts::{self, Evidence, Locked};
use regua_store::evidence;
use regua_store::{TRANSACTION_TIMEOUT, doorbells, instances, tenant_configs, transact, webhook_events};
use sqlx::PgConnection;

use crate::context::Context;

/// Most concurrent looks.
const MAX_LOOKS: i64 = 16;

/// Time limit of one look, with all its pages.
const LOOK_TIMEOUT: Duration = Duration::from_secs(20);

/// Longer than a look and the transaction that applies it.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(45);

/// The largest difference of the gateway's clock. So wide a window finds no wrong message, because the text must be the
/// attempt's.
const CLOCK_SKEW: TimeDelta = TimeDelta::hours(24);

/// Looks for all unknown attempts whose next look is due; returns the number of those that are resolved.
pub(crate) async fn pass(context: &Context) -> anyhow::Result<u64> {
    let mut done = 0;
    loop {
        let attempts = take_due(context).await?;
        fail_point!("look::claimed", |_| Ok(0));
        let looks = join_all(attempts.iter().map(|attempt| look_or_log(context, attempt))).await;
        done += looks.iter().map(|is_done| u64::from(*is_done)).sum::<u64>();
        if looks.len() < usize::try_from(MAX_LOOKS)? {
            return Ok(done);
        }
    }
}

async fn look_or_log(context: &Context, attempt: &UnknownAttempt) -> bool {
    let looked = tokio::time::timeout(LOOK_TIMEOUT + TRANSACTION_TIMEOUT, look(context, attempt)).await;
    let looked = looked.unwrap_or_else(|_| Err(anyhow::anyhow!("the look took too long")));
    looked.unwrap_or_else(|error| {
        let error = format!("{error:#}");
        tracing::warn!(attempt_id = %attempt.key.attempt, error, "a look for an unknown attempt failed");
        false
    })
}

pub(crate) async fn take_due(context: &Context) -> Result<Vec<UnknownAttempt>, sqlx::Error> {
    let (now, first) = (context.clock.now(), context.settings.looks.first());
    let due = async |conn: &mut PgConnection| attempts::take_due(conn, now, first, VISIBILITY_TIMEOUT, MAX_LOOKS).await;
    transact(&context.pool, due).await
}

/// True when the attempt needs no further look.
async fn look(context: &Context, attempt: &UnknownAttempt) -> anyhow::Result<bool> {
    if learn_stored_evidence(context, attempt).await? {
        return Ok(true);
    }
    let found = search_history(context, attempt).await?;
    apply_look(context, attempt, found).await
}

/// Learns evidence that was stored while the attempt was under way; returns whether there was any.
pub(crate) async fn learn_stored_evidence(context: &Context, attempt: &UnknownAttempt) -> anyhow::Result<bool> {
    let reading = transact(&context.pool, async |conn| evidence::find_proof(conn, attempt.key).await);
    let Some(proof) = reading.await? else { return Ok(false) };
    let evidence = Evidence::Left { message_id: proof.message_id, at: proof.created_at };
    learn(context, attempt, proof.source, evidence).await
}

/// Applies the result of a search; true when the attempt needs no further look.
pub(crate) async fn apply_look(context: &Context, attempt: &UnknownAttempt, found: LookResult) -> anyhow::Result<bool> {
    match found {
        LookResult::Found { message_id, left_at } => {
            let evidence = Evidence::Left { message_id: Some(message_id), at: left_at };
            learn(context, attempt, EvidenceSource::GatewayHistory, evidence).await
        }
        LookResult::NotFound => apply_nothing_found(context, attempt).await,
        LookResult::Failed { reason } => {
            tracing::debug!(attempt_id = %attempt.key.attempt, %reason, "the gateway's history could not be read");
            schedule_look(context, attempt, attempt.looks, context.clock.now() + context.settings.looks.first()).await
        }
    }
}

async fn search_history(context: &Context, attempt: &UnknownAttempt) -> anyhow::Result<LookResult> {
    let (tenant, instance) = (attempt.key.tenant, attempt.instance_id);
    let reading = transact(&context.pool, async |conn| instances::get(conn, tenant, instance).await);
    let instance = reading.await?.context("the instance is gone")?;
    // The worker writes the cause into the instance's row when it checks the instance.
    let Ok(address) = open_address(&context.secrets, tenant, &instance) else {
        return Ok(LookResult::Failed { reason: Reason::GatewayUnreachable });
    };
    let search = Search {
        number: PhoneNumber::from_stored(&attempt.phone)?,
        reference: Reference::parse(&attempt.reference)?,
        text: attempt.text.clone(),
        from: attempt.started_at - CLOCK_SKEW,
        to: context.clock.now() + CLOCK_SKEW,
    };
    let searching = context.gateway.find_sent(&address, &search);
    Ok(tokio::time::timeout(LOOK_TIMEOUT, searching).await.unwrap_or(LookResult::Failed { reason: Reason::NoAnswer }))
}

async fn learn(
    context: &Context,
    attempt: &UnknownAttempt,
    source: EvidenceSource,
    evidence: Evidence,
) -> anyhow::Result<bool> {
    let now = context.clock.now();
    let learning = transact(&context.pool, async |conn| -> Result<_, sqlx::Error> {
        let learnt = contacts::learn(conn, attempt.key, source, &evidence, None, now).await?;
        fail_point!("learn::before_commit");
        Ok(learnt)
    });
    let learnt = learning.await?;
    fail_point!("learn::committed");
    context.count_learnt(source, learnt);
    tracing::info!(attempt_id = %attempt.key.attempt, source = source.as_str(), ?learnt,
        "evidence about an unknown attempt was found");
    Ok(true)
}

/// Schedules the next look. After the last look the contact is resent, or waits for an operator decision.
async fn apply_nothing_found(context: &Context, attempt: &UnknownAttempt) -> anyhow::Result<bool> {
    let looks = attempt.looks.saturating_add(1);
    let now = context.clock.now();
    if let Some((after, since_last)) = context.settings.looks.due_after(usize::try_from(looks)?) {
        // The time between two looks stays even if the looks are late: a message needs time to appear in the history.
        return schedule_look(context, attempt, looks, (attempt.finished_at + after).max(now + since_last)).await;
    }
    let (tenant, instance) = (attempt.key.tenant, attempt.instance_id);
    let reading = transact(&context.pool, async |conn| webhook_events::has_unmatched(conn, tenant, instance).await);
    // One of the webhook events may be evidence for this attempt.
    if reading.await? {
        return schedule_look(context, attempt, attempt.looks, now + context.settings.looks.first()).await;
    }
    let deciding = transact(&context.pool, async |conn| -> anyhow::Result<_> {
        let decided = resend_or_give_up(conn, attempt, context.clock.now()).await?;
        fail_point!("decide::before_commit");
        Ok(decided)
    });
    let decided = deciding.await?;
    fail_point!("decide::committed");
    let Some(decided) = decided else { return Ok(false) };
    context.relay_wakeup.notify_one();
    context.metrics.unconfirmed_settled.with_label_values(&[decided.as_str()]).inc();
    tracing::info!(attempt_id = %attempt.key.attempt, contact_id = %attempt.key.contact, decided = decided.as_str(),
        "the last look for an unknown attempt found nothing");
    Ok(true)
}

async fn schedule_look(
    context: &Context,
    attempt: &UnknownAttempt,
    looks: i16,
    at: DateTime<Utc>,
) -> anyhow::Result<bool> {
    // Before the first look `next_look_at` has the attempt's finish, and `take_due` adds the time of the first look.
    let at = if looks == 0 { at - context.settings.looks.first() } else { at };
    transact(&context.pool, async |conn| attempts::look_again(conn, attempt.key, looks, at).await).await?;
    Ok(false)
}

/// Applies the tenant's rule; returns `resent` or `gave_up`, none when the attempt was resolved meanwhile.
async fn resend_or_give_up(
    conn: &mut PgConnection,
    attempt: &UnknownAttempt,
    now: DateTime<Utc>,
) -> anyhow::Result<Option<Resolution>> {
    let tenant = attempt.key.tenant;
    if let Locked::Unconfirmed(contact) = contacts::lock_unconfirmed(conn, tenant, attempt.key.contact, now).await?
        && contact.key == attempt.key
    {
        let config = tenant_configs::get(conn, tenant).await?.context("the tenant has no configuration")?;
        let unfound = UnfoundAttempt {
            may_resend: !contact.is_to_be_erased && config.resend_unconfirmed.contains(&attempt.message_type),
            resends: u16::try_from(contact.resends)?,
            probably_left: contact.reason.as_deref().is_some_and(Reason::probably_left),
            is_cancelled: contact.queue_status == QueueStatus::Cancelled,
        };
        if should_resend(unfound) {
            contacts::resend(conn, &contact, now).await?;
            let doorbell =
                Doorbell::Queue { kind: attempt.message_type.into(), tenant_id: tenant, queue_id: contact.queue_id };
            ring(conn, &doorbell, now).await?;
            doorbells::notify(conn).await?;
            return Ok(Some(Resolution::Resent));
        }
    }
    let is_ours = attempts::give_up_looking(conn, attempt.key).await?;
    Ok(is_ours.then_some(Resolution::GaveUp))
}
