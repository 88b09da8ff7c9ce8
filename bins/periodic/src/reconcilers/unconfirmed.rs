//! Attempts of which nobody can say whether they left: each is looked for in the record of the instance it was made through,
//! a few times over two hours. Found, it was sent. Not found, its contact waits for a person, or is sent once more where
//! its tenant allows that for its type.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use fail::fail_point;
use futures_util::future::join_all;
use regua_boot::Place;
use regua_broker::{Doorbell, ring};
use regua_domain::{PhoneNumber, QueueStatus, Reference, TenantId, Unfound, resends};
use regua_evolution::{Found, InstanceAddress, Reason, Search, Token};
use regua_store::attempts::{self, Sought};
use regua_store::contacts::{self, Finding, Learnt, Locked};
use regua_store::evidence::{self, Source};
use regua_store::instances::Instance;
use regua_store::{PATIENCE, instances, outbox, tenant_configs, webhook_events, within};
use sqlx::PgConnection;

use crate::Context;

/// Attempts that are looked for at the same time.
const AT_ONCE: i64 = 16;

/// How long one look may take, all its pages included.
const LOOK: Duration = Duration::from_secs(20);

/// For how long a replica has what it took; longer than the look and the writing down of what it came to.
const HOLD: Duration = Duration::from_secs(45);

/// By how much the gateway's clock may differ from ours. The text is the message's own, so a wide window finds no other.
const SKEW: TimeDelta = TimeDelta::hours(24);

/// Looks for everything that is due.
pub(super) async fn round(context: &Context) -> anyhow::Result<u64> {
    let mut settled = 0;
    loop {
        let sought = take(context).await?;
        fail_point!("look::taken", |_| Ok(0));
        let looks = join_all(sought.iter().map(|sought| look_and_tell(context, sought))).await;
        settled += looks.iter().map(|is_settled| u64::from(*is_settled)).sum::<u64>();
        if looks.len() < usize::try_from(AT_ONCE)? {
            return Ok(settled);
        }
    }
}

async fn look_and_tell(context: &Context, sought: &Sought) -> bool {
    let looked = tokio::time::timeout(LOOK + PATIENCE, look(context, sought)).await;
    let looked = looked.unwrap_or_else(|_| Err(anyhow::anyhow!("it took too long")));
    looked.unwrap_or_else(|error| {
        let error = format!("{error:#}");
        tracing::warn!(attempt_id = %sought.key.attempt, error, "an attempt could not be looked for");
        false
    })
}

pub(super) async fn take(context: &Context) -> Result<Vec<Sought>, sqlx::Error> {
    let (now, first) = (context.clock.now(), context.settings.looks.first());
    let taking = async {
        let mut transaction = context.pool.begin().await?;
        let taken = attempts::take_due(&mut transaction, now, first, HOLD, AT_ONCE).await?;
        transaction.commit().await?;
        Ok(taken)
    };
    within(PATIENCE, taking).await
}

/// Looks for one attempt; whether that settled it.
async fn look(context: &Context, sought: &Sought) -> anyhow::Result<bool> {
    if prove(context, sought).await? {
        return Ok(true);
    }
    let found = find(context, sought).await?;
    settle(context, sought, found).await
}

/// Whether a proof was kept while the attempt was still open, which settles it.
pub(super) async fn prove(context: &Context, sought: &Sought) -> anyhow::Result<bool> {
    let asking = async {
        let mut transaction = context.pool.begin().await?;
        let proof = evidence::proof(&mut transaction, sought.key).await?;
        transaction.commit().await?;
        Ok::<_, sqlx::Error>(proof)
    };
    let Some(proof) = within(PATIENCE, asking).await? else { return Ok(false) };
    let finding = Finding::Left { message_id: proof.message_id, at: proof.created_at };
    learn(context, sought, proof.source, finding).await
}

/// What follows from a look.
pub(super) async fn settle(context: &Context, sought: &Sought, found: Found) -> anyhow::Result<bool> {
    match found {
        Found::Message { message_id, left_at } => {
            let finding = Finding::Left { message_id: Some(message_id), at: left_at };
            learn(context, sought, Source::GatewayHistory, finding).await
        }
        Found::Nothing => not_found(context, sought).await,
        Found::Unseen { reason } => {
            tracing::debug!(attempt_id = %sought.key.attempt, %reason, "the gateway's history could not be seen");
            look_again(context, sought, sought.looks, context.clock.now() + context.settings.looks.first()).await
        }
    }
}

async fn find(context: &Context, sought: &Sought) -> anyhow::Result<Found> {
    let (tenant, instance) = (sought.key.tenant, sought.instance_id);
    let reading = async {
        let mut transaction = context.pool.begin().await?;
        let instance = instances::get(&mut transaction, tenant, instance).await?;
        transaction.commit().await?;
        Ok::<_, sqlx::Error>(instance)
    };
    let instance = within(PATIENCE, reading).await?.context("the instance is gone")?;
    let Some(address) = address_of(context, tenant, &instance) else {
        return Ok(Found::Unseen { reason: Reason::GatewayUnreachable });
    };
    let search = Search {
        number: PhoneNumber::from_stored(&sought.phone)?,
        reference: Reference::parse(&sought.reference)?,
        text: sought.text.clone(),
        from: sought.started_at - SKEW,
        to: context.clock.now() + SKEW,
    };
    let finding = context.gateway.find_sent(&address, &search);
    Ok(tokio::time::timeout(LOOK, finding).await.unwrap_or(Found::Unseen { reason: Reason::NoAnswer }))
}

/// None where what is stored cannot be used; the worker says why, in the number's row.
fn address_of(context: &Context, tenant: TenantId, instance: &Instance) -> Option<InstanceAddress> {
    let place = Place::instance_token(tenant, instance.instance_id);
    let token = context.secrets.open_or_plain(&place, &instance.token).ok()?;
    InstanceAddress::parse(&instance.base_url, &instance.name, Token::parse(&token).ok()?).ok()
}

async fn learn(context: &Context, sought: &Sought, source: Source, finding: Finding) -> anyhow::Result<bool> {
    let now = context.clock.now();
    let learning = async {
        let mut transaction = context.pool.begin().await?;
        let learnt = contacts::learn(&mut transaction, sought.key, source, &finding, None, now).await?;
        fail_point!("learn::before_commit");
        transaction.commit().await?;
        fail_point!("learn::committed");
        Ok::<_, sqlx::Error>(learnt)
    };
    let learnt = within(PATIENCE, learning).await?;
    note(context, source.as_str(), learnt);
    tracing::info!(attempt_id = %sought.key.attempt, source = source.as_str(), ?learnt, "an unconfirmed attempt was found");
    Ok(true)
}

/// Counts what a proof has settled.
pub(super) fn note(context: &Context, source: &str, learnt: Learnt) {
    match learnt {
        Learnt::Moved { .. } => context.metrics.unconfirmed_settled.with_label_values(&[source]).inc(),
        Learnt::Doubled => {
            context.metrics.messages_doubled.inc();
            tracing::error!(source, "the gateway proves a second message to one contact");
        }
        Learnt::Kept | Learnt::NoAttempt => {}
    }
}

/// A look that saw nothing: another one later, or none, and then the tenant's rule.
async fn not_found(context: &Context, sought: &Sought) -> anyhow::Result<bool> {
    let looks = sought.looks.saturating_add(1);
    let now = context.clock.now();
    if let Some((after, since_last)) = context.settings.looks.due_after(usize::try_from(looks)?) {
        // Late looks keep their distance: what is still at it when the first one comes must have time to show.
        return look_again(context, sought, looks, (sought.finished_at + after).max(now + since_last)).await;
    }
    if context.settle_first(sought).await? {
        return look_again(context, sought, sought.looks, now + context.settings.looks.first()).await;
    }
    let deciding = async {
        let mut transaction = context.pool.begin().await?;
        let decided = decide(&mut transaction, sought, context.clock.now()).await?;
        fail_point!("decide::before_commit");
        transaction.commit().await?;
        fail_point!("decide::committed");
        anyhow::Ok(decided)
    };
    let Some(decided) = within(PATIENCE, deciding).await? else { return Ok(false) };
    context.rang.notify_one();
    context.metrics.unconfirmed_settled.with_label_values(&[decided]).inc();
    tracing::info!(attempt_id = %sought.key.attempt, contact_id = %sought.key.contact, decided, "an attempt was nowhere to be found");
    Ok(true)
}

impl Context {
    /// Whether webhooks about what left through the number wait to be matched: one of them may be the proof.
    async fn settle_first(&self, sought: &Sought) -> anyhow::Result<bool> {
        let (tenant, instance) = (sought.key.tenant, sought.instance_id);
        let asking = async {
            let mut transaction = self.pool.begin().await?;
            let has_unread = webhook_events::has_unread(&mut transaction, tenant, instance).await?;
            transaction.commit().await?;
            Ok::<_, sqlx::Error>(has_unread)
        };
        Ok(within(PATIENCE, asking).await?)
    }
}

async fn look_again(context: &Context, sought: &Sought, looks: i16, at: DateTime<Utc>) -> anyhow::Result<bool> {
    // The first look's own distance is the query's: it is counted from the time that stands in the row.
    let at = if looks == 0 { at - context.settings.looks.first() } else { at };
    let noting = async {
        let mut transaction = context.pool.begin().await?;
        attempts::look_again(&mut transaction, sought.key, looks, at).await?;
        transaction.commit().await
    };
    within(PATIENCE, noting).await?;
    Ok(false)
}

/// What becomes of a contact whose message was nowhere to be found: `resent` or `gave_up`; none when something else has
/// settled it meanwhile.
async fn decide(conn: &mut PgConnection, sought: &Sought, now: DateTime<Utc>) -> anyhow::Result<Option<&'static str>> {
    let tenant = sought.key.tenant;
    if let Locked::Unconfirmed(contact) = contacts::lock_unconfirmed(conn, tenant, sought.key.contact, now).await?
        && contact.key == sought.key
    {
        let config = tenant_configs::get(conn, tenant).await?.context("the tenant has no configuration")?;
        let unfound = Unfound {
            may_resend: !contact.is_to_be_erased && config.resend_unconfirmed.contains(&sought.message_type),
            resends: u16::try_from(contact.resends)?,
            probably_left: contact.reason.as_deref().is_some_and(Reason::probably_left),
            is_cancelled: contact.queue_status == QueueStatus::Cancelled,
        };
        if resends(unfound) {
            contacts::resend(conn, &contact, now).await?;
            let doorbell = Doorbell { kind: sought.message_type.into(), tenant_id: tenant, queue_id: contact.queue_id };
            ring(conn, &doorbell, now).await?;
            outbox::notify(conn).await?;
            return Ok(Some("resent"));
        }
    }
    let is_ours = attempts::give_up_looking(conn, sought.key).await?;
    Ok(is_ours.then_some("gave_up"))
}
