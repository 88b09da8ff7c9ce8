//! The status of a queue and the claim of 100 contacts with millions of stored contacts, beside the same with ten
//! thousand.
//!
//! Churn, before claims are timed: a worker sends through all instances at once (claims, marks, outcomes), and then the
//! next 100 contacts of every instance are claimed, marked and made pending again ten times. Autovacuum is on.

use std::time::{Duration, Instant};

use crate::erp::Erp;
use crate::fill::{Fill, ring};
use crate::gateway::Gateway;
use crate::measures::claim::{self, Claims};
use crate::measures::intake;
use crate::report::{Figure, Goal, progress};
use crate::samples::Samples;
use crate::sizes::Sizes;
use crate::tenants::{Pace, Tenant};
use crate::testbed::Testbed;

/// Stored contacts of the comparison.
const FEW: usize = 10_000;
/// How long the churn may take.
const TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) struct Stored {
    pub(crate) fill_seconds: f64,
    pub(crate) claims: Claims,
    /// Requests of a queue's status, in milliseconds.
    pub(crate) status: Samples,
    /// Contacts a second over HTTP; none without intake batches.
    pub(crate) intake: Option<f64>,
}

/// Claims and marks of every instance's next contacts, before claims are timed.
const ROUNDS: usize = 10;

/// A tenth of the queues is pending, at least ten, each with an instance of its own.
fn layout(stored: usize) -> Fill {
    let queues = (stored / 10_000).max(10);
    Fill { queues, contacts: stored / queues, waiting: (queues / 10).max(10) }
}

/// Fills a fresh database, and times `timed` status requests and claims.
pub(crate) async fn run(stored: usize, churned: usize, timed: usize, intake_batches: usize) -> anyhow::Result<Stored> {
    let fill = layout(stored);
    Testbed::with("stored", Gateway::sandbox().await?, async |testbed| {
        let tenant = Tenant::create(&testbed.pool, &testbed.gateway, "acme", fill.waiting, Pace::UNTHROTTLED).await?;
        let started = Instant::now();
        let queues = fill.store(testbed, &tenant).await?;
        let fill_seconds = started.elapsed().as_secs_f64();
        progress(&format!("{stored} contacts stored in {fill_seconds:.0} s"));
        let (periodic, (api, url)) = (testbed.periodic().await?, testbed.api().await?);
        let erp = Erp::new(&url, &tenant.api_key)?;
        let mut times = Vec::with_capacity(timed);
        for _ in 0..timed {
            let queue = queues[fastrand::usize(..queues.len())].to_string();
            let started = Instant::now();
            erp.status(&queue).await?;
            times.push(started.elapsed());
        }
        let pending: Vec<_> = queues.iter().take(fill.waiting).map(|queue| (&tenant, *queue)).collect();
        ring(testbed, &pending).await?;
        let before = testbed.sent().await?;
        let worker = testbed.worker().await?;
        testbed.until_sent(before + churned, TIMEOUT).await?;
        worker.terminate()?;
        periodic.terminate()?;
        api.terminate()?;
        // With the settings of the fleet's pool, which fix the plans.
        let mut conn = testbed.pool.acquire().await?;
        claim::churn(&mut conn, &tenant, ROUNDS).await?;
        // At most four fifths of the pending contacts.
        let left = fill.waiting * fill.contacts - (testbed.sent().await? - before);
        let claims = claim::time(&mut conn, &tenant, timed.min(left / usize::try_from(claim::BATCH)? * 4 / 5)).await?;
        let intake = match intake_batches {
            0 => None,
            batches => Some(intake::over_http(testbed, &tenant, "mais", batches).await?),
        };
        Ok(Stored { fill_seconds, claims, status: Samples::milliseconds(times), intake })
    })
    .await
}

pub(crate) async fn measure(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let few = run(FEW, FEW / 20, sizes.timed, 0).await?;
    let many = run(sizes.stored, sizes.churned, sizes.timed, 0).await?;
    let Fill { queues, waiting, contacts } = layout(sizes.stored);
    let how = format!("{queues} queues of {contacts}, {waiting} wait; no attempts but of the churn");
    let churn = format!(
        "{} claims of 100 after the worker sent {} and {ROUNDS} batches of each number were marked and made pending again",
        many.claims.both.len(),
        sizes.churned
    );
    let beside = "10,000 stored";
    Ok(vec![
        Figure::new("contacts stored", sizes.stored as f64, "", how),
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
