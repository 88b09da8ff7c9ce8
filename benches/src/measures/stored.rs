//! The status of a queue and the claim of a batch with millions of contacts stored, beside the same with ten thousand.
//!
//! Churn, before claims are timed: the real worker sends through all numbers at once (claims, marks, outcomes), and then
//! the next batch of every number is claimed, marked and made pending again ten times. Autovacuum does what it does.

use std::time::{Duration, Instant};

use crate::erp::Erp;
use crate::fill::{Fill, ring};
use crate::gateway::Gateway;
use crate::measures::claim::{self, Claims};
use crate::measures::intake;
use crate::report::{Figure, Goal, say};
use crate::samples::Samples;
use crate::sizes::Sizes;
use crate::stage::Stage;
use crate::tenants::{Pace, Tenant};

/// What the database with many contacts is compared with.
const FEW: usize = 10_000;
/// How long the churn may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was measured with so many contacts.
pub(crate) struct Stored {
    /// How long the fill took, in seconds.
    pub(crate) fill_seconds: f64,
    /// Claims after the churn.
    pub(crate) claims: Claims,
    /// Looks at a queue's status, in milliseconds.
    pub(crate) status: Samples,
    /// Contacts taken in a second over HTTP, where it was asked for.
    pub(crate) intake: Option<f64>,
}

/// Claims and marks of every number's next batch, before claims are timed.
const ROUNDS: usize = 10;

/// So many contacts; of the queues a tenth wait, at least ten, each with a number of its own.
fn layout(stored: usize) -> Fill {
    let queues = (stored / 10_000).max(10);
    Fill { queues, contacts: stored / queues, waiting: (queues / 10).max(10) }
}

/// Fills a database of its own, and measures.
pub(crate) async fn run(stored: usize, churned: usize, looks: usize, intake_batches: usize) -> anyhow::Result<Stored> {
    let fill = layout(stored);
    Stage::with("stored", Gateway::sandbox().await?, async |stage| {
        let tenant = Tenant::create(&stage.pool, &stage.gateway, "acme", fill.waiting, Pace::UNTHROTTLED).await?;
        let started = Instant::now();
        let queues = fill.store(stage, &tenant).await?;
        let fill_seconds = started.elapsed().as_secs_f64();
        say(&format!("{stored} contacts stored in {fill_seconds:.0} s"));
        let (periodic, (api, url)) = (stage.periodic().await?, stage.api().await?);
        let erp = Erp::new(&url, &tenant.key)?;
        let mut times = Vec::with_capacity(looks);
        for _ in 0..looks {
            let queue = queues[fastrand::usize(..queues.len())].to_string();
            let started = Instant::now();
            erp.status(&queue).await?;
            times.push(started.elapsed());
        }
        let rings: Vec<_> = queues.iter().take(fill.waiting).map(|queue| (&tenant, *queue)).collect();
        ring(stage, &rings).await?;
        let before = stage.sent().await?;
        let worker = stage.worker().await?;
        stage.until_sent(before + churned, PATIENCE).await?;
        worker.terminate()?;
        periodic.terminate()?;
        api.terminate()?;
        // Planned as the fleet plans.
        let mut conn = stage.pool.acquire().await?;
        claim::churn(&mut conn, &tenant, ROUNDS).await?;
        // Four fifths of what is left to claim.
        let left = fill.waiting * fill.contacts - (stage.sent().await? - before);
        let claims = claim::time(&mut conn, &tenant, looks.min(left / usize::try_from(claim::BATCH)? * 4 / 5)).await?;
        let intake = match intake_batches {
            0 => None,
            batches => Some(intake::over_http(stage, &tenant, "mais", batches).await?),
        };
        Ok(Stored { fill_seconds, claims, status: Samples::milliseconds(times), intake })
    })
    .await
}

/// The table's rows.
pub(crate) async fn measure(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let few = run(FEW, FEW / 20, sizes.looks, 0).await?;
    let many = run(sizes.stored, sizes.churned, sizes.looks, 0).await?;
    let Fill { queues, waiting, contacts } = layout(sizes.stored);
    let note = format!("{queues} queues of {contacts}, {waiting} wait; no attempts but of the churn");
    let churn = format!(
        "{} claims of 100 after the worker sent {} and {ROUNDS} batches of each number were marked and made pending again",
        many.claims.both.len(),
        sizes.churned
    );
    let beside = "10,000 stored";
    Ok(vec![
        Figure::new("contacts stored", sizes.stored as f64, "", note),
        Figure::new("filling took", many.fill_seconds, "s", "insert … select, indexes after, vacuum analyze"),
        Figure::new("status of a queue, p50", many.status.median(), "ms", "").beside(beside, few.status.median()),
        Figure::new(
            "status of a queue, p99",
            many.status.p99(),
            "ms",
            format!("{} looks over HTTP", many.status.len()),
        )
        .beside(beside, few.status.p99())
        .goal(Goal::AtMost(5.0)),
        Figure::new("claim of a batch, p50", many.claims.both.median(), "ms", churn)
            .beside(beside, few.claims.both.median())
            .goal(Goal::TimesLimit(2.0)),
        Figure::new("claim of a batch, p99", many.claims.both.p99(), "ms", "runnable and claim together")
            .beside(beside, few.claims.both.p99()),
        Figure::new("of that, queues::runnable, p50", many.claims.runnable.median(), "ms", "")
            .beside(beside, few.claims.runnable.median()),
        Figure::new("of that, contacts::claim, p50", many.claims.claim.median(), "ms", "")
            .beside(beside, few.claims.claim.median()),
    ])
}
