//! Claims contacts for many lanes in one transaction.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use fail::fail_point;
use regua_boot::Clock;
use regua_domain::{
    CampaignId, ContactFacts, ContactStatus, Decision, InstanceState, LaneFacts, LaneKey, MessageType, QueueFacts,
    QueueId, Rule, TenantId, Waiting, decide, split_claim,
};
use regua_store::contacts::{self, ClaimedContact, Quota};
use regua_store::lanes::{self, LockedLane};
use regua_store::queues::{self, Runnable};
use sqlx::{Connection, PgConnection, PgPool};

use crate::group::{GroupSettings, Grouped};
use crate::lane_configs::LaneConfig;

const GROUPS: GroupSettings<ClaimRequest> =
    GroupSettings { name: "claims", tasks: 2, limit: 100, is_repeated: |_| false };

/// Pause of a queue whose business hours do not open within a year. After it the queue is decided again, because its
/// tenant may have changed the hours.
const NEXT_DECISION: TimeDelta = TimeDelta::days(1);

pub(crate) struct ClaimRequest {
    pub(crate) lane: LaneKey,
    pub(crate) epoch: i64,
    pub(crate) limit: u32,
    /// The number of the claim in its lease: [`split_claim`] gives each message type its tenth by turns.
    pub(crate) turn: u64,
    pub(crate) config: Arc<LaneConfig>,
}

/// What all contacts of a queue have in common.
#[derive(Clone, Copy)]
pub(crate) struct ClaimedQueue {
    pub(crate) campaign: CampaignId,
    pub(crate) message_type: MessageType,
}

pub(crate) struct ClaimResult {
    pub(crate) contacts: Vec<ClaimedContact>,
    /// The queues of `contacts`, and others of the lane.
    pub(crate) queues: HashMap<QueueId, ClaimedQueue>,
    /// When the earliest retry is due.
    pub(crate) next_due_at: Option<DateTime<Utc>>,
}

/// Sends claims to the tasks that work on them in groups.
pub(crate) struct Claims(Grouped<ClaimRequest, Option<ClaimResult>>);

impl Claims {
    /// Starts the tasks, which end when the `Claims` is dropped.
    pub(crate) fn start(pool: &PgPool, clock: &Clock) -> Self {
        let (grouped, _tasks) = Grouped::start(&GROUPS, pool, clock.clone(), |clock, conn, requests| {
            Box::pin(claim(conn, requests, clock.now()))
        });
        Self(grouped)
    }

    /// The lane's next contacts; none when the lease is lost.
    pub(crate) async fn claim(&self, request: ClaimRequest) -> anyhow::Result<Option<ClaimResult>> {
        self.0.ask(request.lane.instance, request).await
    }
}

/// The claim of one lane while its transaction is open.
struct LaneClaim<'a> {
    request: &'a ClaimRequest,
    queues: Vec<Runnable>,
    contacts: Vec<ClaimedContact>,
    /// The lane has contacts, or its queues have none that are due.
    is_done: bool,
}

async fn claim(
    conn: &mut PgConnection,
    requests: &[&ClaimRequest],
    now: DateTime<Utc>,
) -> anyhow::Result<Vec<Option<ClaimResult>>> {
    let mut transaction = conn.begin().await?;
    let conn = &mut *transaction;
    let mut claims = lock_lanes_and_queues(conn, requests, now).await?;
    while claim_contacts(conn, &mut claims, now).await? {}
    fail_point!("claim::before_commit");
    transaction.commit().await?;
    fail_point!("claim::committed", |_| Err(anyhow::anyhow!("the commit was not answered")));
    let claimed = |claim: LaneClaim<'_>| {
        let common = |queue: &Runnable| ClaimedQueue { campaign: queue.campaign_id, message_type: queue.message_type };
        let queues = claim.queues.iter().map(|queue| (queue.queue_id, common(queue))).collect();
        let next_due_at = claim.queues.iter().filter_map(|queue| queue.next_due_at).min();
        (claim.request.lane, ClaimResult { contacts: claim.contacts, queues, next_due_at })
    };
    let mut claimed: HashMap<_, _> = claims.into_values().map(claimed).collect();
    Ok(requests.iter().map(|request| claimed.remove(&request.lane)).collect())
}

/// Locks the lanes that are still leased under the epoch of their request, and then their runnable queues. Leaves out
/// the queues that must wait, and pauses those that wait for business hours.
async fn lock_lanes_and_queues<'a>(
    conn: &mut PgConnection,
    requests: &[&'a ClaimRequest],
    now: DateTime<Utc>,
) -> anyhow::Result<HashMap<LaneKey, LaneClaim<'a>>> {
    let wanted: Vec<_> = requests.iter().map(|one| (one.lane, one.epoch)).collect();
    let locked = lanes::lock(conn, &wanted).await?;
    let locked: HashSet<_> = locked.iter().map(LockedLane::key).collect();
    let of_locked =
        requests.iter().copied().filter(|request| locked.contains(&request.lane)).map(|request| {
            (request.lane, LaneClaim { request, queues: Vec::new(), contacts: Vec::new(), is_done: false })
        });
    let mut claims: HashMap<_, _> = of_locked.collect();
    let limits: Vec<_> = claims.values().map(|claim| (claim.request.lane, claim.request.limit)).collect();
    let runnable = queues::runnable(conn, &limits, now).await?;
    // Locks all queues in key order. The updates below would lock some of them in another order, and could deadlock.
    let ids: Vec<_> = runnable.iter().map(|queue| (queue.tenant_id, queue.queue_id)).collect();
    queues::lock(conn, &ids).await?;
    for queue in runnable {
        let lane = LaneKey { tenant: queue.tenant_id, instance: queue.instance_id };
        let Some(claim) = claims.get_mut(&lane) else { continue };
        match hold_of(&queue, &claim.request.config, now) {
            None => claim.queues.push(queue),
            Some((until, rule)) => hold_queue(conn, lane.tenant, queue.queue_id, until, rule, now).await?,
        }
    }
    Ok(claims)
}

/// Claims once for every lane that is not done; false when all lanes are done.
async fn claim_contacts(
    conn: &mut PgConnection,
    claims: &mut HashMap<LaneKey, LaneClaim<'_>>,
    now: DateTime<Utc>,
) -> anyhow::Result<bool> {
    let mut wanted = Vec::new();
    for claim in claims.values_mut().filter(|claim| !claim.is_done) {
        let waiting: Vec<_> = claim
            .queues
            .iter()
            .map(|queue| Waiting {
                priority: queue.message_type.priority(),
                waiting: queue.waiting.try_into().unwrap_or(0),
            })
            .collect();
        let quotas = split_claim(claim.request.limit, claim.request.turn, &waiting);
        let before = wanted.len();
        for (queue, quota) in claim.queues.iter().zip(quotas).filter(|(_, quota)| *quota > 0) {
            let quota = i32::try_from(quota).unwrap_or(i32::MAX);
            wanted.push((claim.request.lane, Quota { tenant_id: queue.tenant_id, queue_id: queue.queue_id, quota }));
        }
        claim.is_done = wanted.len() == before;
    }
    if wanted.is_empty() {
        return Ok(false);
    }
    let quotas: Vec<_> = wanted.iter().map(|(_, quota)| *quota).collect();
    let lane_of: HashMap<_, _> = wanted.iter().map(|(lane, quota)| (quota.queue_id, *lane)).collect();
    for contact in contacts::claim(conn, &quotas, now).await? {
        if let Some(claim) = lane_of.get(&contact.queue_id).and_then(|lane| claims.get_mut(lane)) {
            claim.contacts.push(contact);
            claim.is_done = true;
        }
    }
    let mut positions = Vec::with_capacity(wanted.len());
    for (lane, quota) in &wanted {
        let Some(claim) = claims.get_mut(lane) else { continue };
        let Some(queue) = claim.queues.iter_mut().find(|queue| queue.queue_id == quota.queue_id) else { continue };
        positions.push((quota.tenant_id, quota.queue_id, next_position(queue, &claim.contacts)));
        if !claim.is_done {
            // The queue has no due contact, although some were counted. The next round gives its quota to other queues.
            queue.waiting = 0;
        }
    }
    queues::start(conn, &positions, now).await?;
    Ok(true)
}

/// The queue's new `next_position`: no contact before this position waits for its first attempt.
fn next_position(queue: &Runnable, claimed: &[ClaimedContact]) -> i32 {
    let mut of_queue = claimed.iter().filter(|contact| contact.queue_id == queue.queue_id).peekable();
    if of_queue.peek().is_none() {
        return queue.total;
    }
    // 0 if requeued contacts used up the quota: the claim read no contact that waits for its first attempt.
    of_queue.filter_map(|contact| contact.position).min().unwrap_or(0)
}

/// The hold of a whole queue: its end and its rule; none if the queue may be claimed from.
fn hold_of(queue: &Runnable, config: &LaneConfig, now: DateTime<Utc>) -> Option<(Option<DateTime<Utc>>, Rule)> {
    let contact = ContactFacts { status: ContactStatus::Pending, due_at: now, attempts: 0 };
    let queue =
        QueueFacts { status: queue.status, message_type: queue.message_type, scheduled_for: queue.scheduled_for };
    // The mark applies pacing and daily cap, on the locked row.
    let lane = LaneFacts { instance_state: InstanceState::Open, next_send_at: None, sent_today: 0, daily_cap: None };
    match decide(&contact, &queue, &config.tenant, &lane, now) {
        Decision::Send | Decision::Skip { .. } => None,
        Decision::HoldUntil { at, rule } => Some((at, rule)),
    }
}

/// Pauses a queue until its business hours, or until a new day of the daily cap. A hold by another rule needs no write:
/// the queue, the instance or the tenant has the state already.
pub(crate) async fn hold_queue(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    until: Option<DateTime<Utc>>,
    rule: Rule,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    match rule {
        Rule::BusinessHours | Rule::DailyCap => {
            let until = until.unwrap_or(now + NEXT_DECISION);
            queues::pause_for_hours(conn, tenant, queue, Some(until), rule, now).await
        }
        _ => Ok(()),
    }
}
