//! The claim of a lane's next contacts by itself: its two reading statements, called as the worker calls them.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use regua_boot::Clock;
use regua_domain::{AttemptId, LaneKey};
use regua_store::attempts::AttemptKey;
use regua_store::contacts::{ClaimedContact, NewAttempt, Quota};
use regua_store::{contacts, queues};
use sqlx::{Connection, PgConnection};

use crate::samples::Samples;
use crate::tenants::{Instance, Tenant};

/// Contacts of a claim: the worker's default.
pub(crate) const BATCH: i32 = 100;

/// How long the parts of claims took, in milliseconds.
pub(crate) struct Claims {
    /// Both statements together.
    pub(crate) both: Samples,
    /// `queues::runnable`.
    pub(crate) runnable: Samples,
    /// `contacts::claim`.
    pub(crate) claim: Samples,
}

struct Claim {
    runnable: Duration,
    claim: Duration,
    claimed: Vec<ClaimedContact>,
}

/// For every instance, `rounds` times: claims contacts, marks them, and makes them pending again. Their rows and index
/// entries then have as many dead versions as marks and outcomes leave.
pub(crate) async fn churn(conn: &mut PgConnection, tenant: &Tenant, rounds: usize) -> anyhow::Result<()> {
    for _ in 0..rounds {
        for instance in &tenant.instances {
            let claim = claim(conn, tenant, instance).await?;
            mark(conn, tenant, &claim.claimed).await?;
            set_status(conn, tenant, &claim.claimed, "pending", 0).await?;
        }
    }
    Ok(())
}

async fn mark(conn: &mut PgConnection, tenant: &Tenant, claimed: &[ClaimedContact]) -> anyhow::Result<()> {
    let now = Clock::system().now();
    let attempt = |contact: &ClaimedContact| NewAttempt {
        key: AttemptKey { tenant: tenant.id, contact: contact.contact_id, attempt: AttemptId::new(now) },
        number: contact.attempts + 1,
        lease_epoch: 1,
    };
    let attempts: Vec<_> = claimed.iter().map(attempt).collect();
    contacts::mark_sending(conn, "bench", &attempts, now).await?;
    Ok(())
}

/// Instead of an outcome, which is not measured here.
async fn set_status(
    conn: &mut PgConnection,
    tenant: &Tenant,
    claimed: &[ClaimedContact],
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

/// Moves a queue's next position, as the worker does in the claim's transaction. Not timed: one row by its key.
async fn advance(conn: &mut PgConnection, tenant: &Tenant, claimed: &[ClaimedContact]) -> anyhow::Result<()> {
    let last = claimed.iter().filter_map(|contact| Some((tenant.id, contact.queue_id, contact.position? + 1))).max();
    queues::start(conn, last.as_slice(), Clock::system().now()).await?;
    Ok(())
}

/// Times claims of one instance after the other, each of the next contacts of its queue.
pub(crate) async fn time(conn: &mut PgConnection, tenant: &Tenant, claims: usize) -> anyhow::Result<Claims> {
    let mut timed = Vec::with_capacity(claims);
    for instance in tenant.instances.iter().cycle().take(claims) {
        let claim = claim(conn, tenant, instance).await?;
        mark(conn, tenant, &claim.claimed).await?;
        set_status(conn, tenant, &claim.claimed, "sent", 1).await?;
        advance(conn, tenant, &claim.claimed).await?;
        timed.push(claim);
    }
    Ok(Claims {
        both: Samples::milliseconds(timed.iter().map(|timed| timed.runnable + timed.claim)),
        runnable: Samples::milliseconds(timed.iter().map(|timed| timed.runnable)),
        claim: Samples::milliseconds(timed.iter().map(|timed| timed.claim)),
    })
}

async fn claim(conn: &mut PgConnection, tenant: &Tenant, instance: &Instance) -> anyhow::Result<Claim> {
    let now = Clock::system().now();
    let mut transaction = conn.begin().await?;
    let started = Instant::now();
    let lane = LaneKey { tenant: tenant.id, instance: instance.id };
    let found = queues::runnable(&mut transaction, &[(lane, u32::try_from(BATCH)?)], now).await?;
    let runnable = started.elapsed();
    let queue_id = found.first().context("an instance has no runnable queue")?.queue_id;
    let quotas = [Quota { tenant_id: tenant.id, queue_id, quota: BATCH }];
    let started = Instant::now();
    let claimed = contacts::claim(&mut transaction, &quotas, now).await?;
    let claim = started.elapsed();
    transaction.commit().await?;
    ensure!(claimed.len() == usize::try_from(BATCH)?, "only {} contacts were due", claimed.len());
    Ok(Claim { runnable, claim, claimed })
}
