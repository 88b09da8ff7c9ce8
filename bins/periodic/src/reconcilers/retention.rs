//! What is over: data of contacts whose time has come, batches whose proof was kept for long enough, sessions that ended long ago;
//! and the second half of erasures that found a message on its way. Each step is a transaction of its own, small, under an advisory
//! lock; what was done stays done wherever a round ends.

use std::pin::Pin;

use chrono::{DateTime, Utc};
use fail::fail_point;
use regua_boot::DebtorKeys;
use regua_domain::{ContactId, PhoneNumber, TenantId};
use regua_store::contacts::{self, Erasable};
use regua_store::{PATIENCE, advisory_locks, retention, webhook_events, within};
use sqlx::PgConnection;

use crate::Context;

/// What no other pass locks, one for each of the two.
const ASKED: i32 = 7;
const OVER: i32 = 8;
/// Rows of one step.
const ROWS: i64 = 500;
/// Steps of one kind in one round.
const STEPS: usize = 50;

/// What a step did, and whether there may be more.
struct Done {
    rows: u64,
    is_more: bool,
}

type Doing<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Done>> + Send + 'a>>;
type Step = for<'a> fn(&'a mut PgConnection, &'a DebtorKeys, DateTime<Utc>) -> Doing<'a>;

/// What each of them did is counted by its name.
const KINDS: [(&str, Step); 3] = [
    ("personal_data", |c, keys, now| Box::pin(erase_old(c, keys, now))),
    ("batches", |c, _, now| Box::pin(delete_old(c, now))),
    ("sessions", |c, _, now| Box::pin(forget(c, now))),
];

/// Everything that is over.
pub(super) async fn round(context: &Context) -> anyhow::Result<u64> {
    let mut all = 0;
    for (what, step) in KINDS {
        all += steps(context, OVER, what, step).await?;
    }
    Ok(all)
}

/// The second half of erasures: they were asked for by somebody who waits.
pub(super) async fn asked(context: &Context) -> anyhow::Result<u64> {
    steps(context, ASKED, "asked", |c, _, now| Box::pin(erase_asked(c, now))).await
}

async fn steps(context: &Context, lock: i32, what: &'static str, step: Step) -> anyhow::Result<u64> {
    let keys = DebtorKeys::of(&context.secrets);
    let mut all = 0;
    for _ in 0..STEPS {
        let stepping = async {
            let mut transaction = context.pool.begin().await?;
            if !advisory_locks::try_for_transaction(&mut transaction, lock).await? {
                return Ok(Done { rows: 0, is_more: false });
            }
            let done = step(&mut transaction, &keys, context.clock.now()).await?;
            if done.rows > 0 {
                fail_point!("retention::before_commit");
            }
            transaction.commit().await?;
            if done.rows > 0 {
                fail_point!("retention::committed");
            }
            anyhow::Ok(done)
        };
        let done = within(PATIENCE, stepping).await?;
        all += done.rows;
        context.metrics.data_erased.with_label_values(&[what]).inc_by(done.rows);
        if !done.is_more {
            break;
        }
    }
    if all > 0 {
        tracing::info!(what, count = all, "data that is over was erased");
    }
    Ok(all)
}

/// Some contacts of a finished batch; the batch is done with when it has no more.
async fn erase_old(conn: &mut PgConnection, keys: &DebtorKeys, now: DateTime<Utc>) -> anyhow::Result<Done> {
    let Some((tenant, queue)) = retention::take_queue(conn, now).await? else {
        return Ok(Done { rows: 0, is_more: false });
    };
    let found = retention::contacts_of(conn, tenant, queue, ROWS).await?;
    let erasable: Vec<_> = found
        .iter()
        .map(|(contact_id, phone)| Erasable {
            contact_id: *contact_id,
            phone_hash: keys.hashes(tenant, phone, None).phone,
            external_id_hash: None,
        })
        .collect();
    let done = contacts::erase(conn, tenant, &erasable, now).await?;
    if i64::try_from(found.len())? < ROWS {
        retention::close(conn, tenant, queue, now).await?;
    }
    Ok(Done { rows: done.erased, is_more: true })
}

async fn delete_old(conn: &mut PgConnection, now: DateTime<Utc>) -> anyhow::Result<Done> {
    let is_more = retention::delete_batch(conn, now).await?;
    Ok(Done { rows: is_more.into(), is_more })
}

async fn forget(conn: &mut PgConnection, now: DateTime<Utc>) -> anyhow::Result<Done> {
    let rows = retention::forget_over(conn, now, ROWS).await?;
    Ok(Done { rows, is_more: i64::try_from(rows)? >= ROWS })
}

/// Contacts that were on their way when their erasure was asked for, tenant by tenant.
async fn erase_asked(conn: &mut PgConnection, now: DateTime<Utc>) -> anyhow::Result<Done> {
    let found = contacts::to_erase(conn, ROWS).await?;
    let Some(&(tenant, ..)) = found.first() else { return Ok(Done { rows: 0, is_more: false }) };
    let of_one: Vec<_> = found.iter().filter(|(other, ..)| *other == tenant).collect();
    let erasable: Vec<_> = of_one.iter().map(|(_, contact, _)| nobodys(*contact)).collect();
    let done = contacts::erase(conn, tenant, &erasable, now).await?;
    let phones = of_one.iter().map(|(.., phone)| phone.as_str());
    forget_webhooks(conn, tenant, phones).await?;
    Ok(Done { rows: done.erased, is_more: done.erased > 0 })
}

/// The hashes were kept when it was asked for.
const fn nobodys(contact_id: ContactId) -> Erasable {
    Erasable { contact_id, phone_hash: None, external_id_hash: None }
}

/// What the gateway told of the message since.
async fn forget_webhooks(
    conn: &mut PgConnection,
    tenant: TenantId,
    phones: impl Iterator<Item = &str>,
) -> anyhow::Result<()> {
    let lines = phones.filter_map(|phone| PhoneNumber::from_stored(phone).ok());
    let digits: Vec<_> = lines.flat_map(|phone| phone.same_line()).map(|line| line.digits().to_owned()).collect();
    webhook_events::forget(conn, tenant, &digits).await?;
    Ok(())
}
