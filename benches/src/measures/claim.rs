//! The claim of a lane's next batch by itself: the two statements that look for work, called as the worker calls them.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use regua_boot::Clock;
use regua_domain::AttemptId;
use regua_store::attempts::AttemptKey;
use regua_store::contacts::{Claimed, NewAttempt, Quota};
use regua_store::{contacts, queues};
use sqlx::{Connection, PgConnection};

use crate::samples::Samples;
use crate::tenants::{Number, Tenant};

/// Contacts of a claim, as the worker has it.
pub(crate) const BATCH: i32 = 100;

/// How long the parts of claims took, in milliseconds.
pub(crate) struct Claims {
    /// `queues::runnable` and `contacts::claim` together.
    pub(crate) both: Samples,
    /// `queues::runnable`.
    pub(crate) runnable: Samples,
    /// `contacts::claim`.
    pub(crate) claim: Samples,
}

struct Claim {
    runnable: Duration,
    claim: Duration,
    claimed: Vec<Claimed>,
}

/// Claims a batch for every number, marks it, and makes it pending again, so many times over: what marks and outcomes leave
/// behind, on rows that are claimed again and again.
pub(crate) async fn churn(conn: &mut PgConnection, tenant: &Tenant, rounds: usize) -> anyhow::Result<()> {
    for _ in 0..rounds {
        for number in &tenant.numbers {
            let claim = claim(conn, tenant, number).await?;
            mark(conn, tenant, &claim.claimed).await?;
            settle(conn, tenant, &claim.claimed, "pending", 0).await?;
        }
    }
    Ok(())
}

async fn mark(conn: &mut PgConnection, tenant: &Tenant, claimed: &[Claimed]) -> anyhow::Result<()> {
    let now = Clock::system().now();
    let attempt = |contact: &Claimed| NewAttempt {
        key: AttemptKey { tenant: tenant.id, contact: contact.contact_id, attempt: AttemptId::new(now) },
        number: contact.attempts + 1,
        lease_epoch: 1,
    };
    let attempts: Vec<_> = claimed.iter().map(attempt).collect();
    contacts::mark_sending(conn, "bench", &attempts, now).await?;
    Ok(())
}

/// In place of an outcome, which is not what is measured here.
async fn settle(
    conn: &mut PgConnection,
    tenant: &Tenant,
    claimed: &[Claimed],
    status: &str,
    attempts: i16,
) -> anyhow::Result<()> {
    let ids: Vec<_> = claimed.iter().map(|contact| contact.contact_id.0).collect();
    sqlx::query("update contacts set status = $3, attempts = $4 where tenant_id = $1 and contact_id = any ($2)")
        .bind(tenant.id.0)
        .bind(ids)
        .bind(status)
        .bind(attempts)
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes how far a queue has come, as the worker does in the claim's transaction. It is not timed: one row by its key.
async fn move_on(conn: &mut PgConnection, tenant: &Tenant, claimed: &[Claimed]) -> anyhow::Result<()> {
    let last = claimed.iter().filter_map(|contact| Some((tenant.id, contact.queue_id, contact.position? + 1))).max();
    queues::start(conn, last.as_slice(), Clock::system().now()).await?;
    Ok(())
}

/// Claims a batch for one number after the other, each the next one of its queue.
pub(crate) async fn time(conn: &mut PgConnection, tenant: &Tenant, claims: usize) -> anyhow::Result<Claims> {
    let mut made = Vec::with_capacity(claims);
    for number in tenant.numbers.iter().cycle().take(claims) {
        let claim = claim(conn, tenant, number).await?;
        mark(conn, tenant, &claim.claimed).await?;
        settle(conn, tenant, &claim.claimed, "sent", 1).await?;
        move_on(conn, tenant, &claim.claimed).await?;
        made.push(claim);
    }
    Ok(Claims {
        both: Samples::milliseconds(made.iter().map(|made| made.runnable + made.claim)),
        runnable: Samples::milliseconds(made.iter().map(|made| made.runnable)),
        claim: Samples::milliseconds(made.iter().map(|made| made.claim)),
    })
}

async fn claim(conn: &mut PgConnection, tenant: &Tenant, number: &Number) -> anyhow::Result<Claim> {
    let now = Clock::system().now();
    let mut transaction = conn.begin().await?;
    let started = Instant::now();
    let found = queues::runnable(&mut transaction, &[(tenant.id, number.id, u32::try_from(BATCH)?)], now).await?;
    let runnable = started.elapsed();
    let queue_id = found.first().context("a number has no queue to claim from")?.queue_id;
    let quotas = [Quota { tenant_id: tenant.id, queue_id, quota: BATCH }];
    let started = Instant::now();
    let claimed = contacts::claim(&mut transaction, &quotas, now).await?;
    let claim = started.elapsed();
    transaction.commit().await?;
    ensure!(claimed.len() == usize::try_from(BATCH)?, "only {} contacts were there to claim", claimed.len());
    Ok(Claim { runnable, claim, claimed })
}
