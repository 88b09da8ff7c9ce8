//! The clerk: claims of many lanes, in one transaction. While one group is being claimed the next one gathers, so that a
//! lane alone waits for nobody, and ten thousand slow lanes do not ask for a connection each.

use std::collections::HashMap;
use std::slice;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use fail::fail_point;
use regua_boot::Clock;
use regua_domain::{
    ContactFacts, ContactStatus, Decision, InstanceState, LaneFacts, MessageType, QueueFacts, QueueId, Rule, TenantId,
    Waiting, decide, shares,
};
use regua_store::contacts::{self, Claimed, Quota};
use regua_store::queues::{self, Runnable};
use regua_store::{Kept, PATIENCE, lanes, within};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::{mpsc, oneshot};

use crate::lane::Key;
use crate::rules::{LaneRules, is_away};

/// Most lanes that are claimed for in one transaction.
const GROUP: usize = 100;

/// Groups that are claimed for at the same time. A lane's requests all go the same way.
const CLERKS: usize = 2;

/// When hours that do not open within a year are looked at again: somebody may have set others.
const NEXT_LOOK: TimeDelta = TimeDelta::days(1);

/// A lane that wants its next batch.
pub(crate) struct Request {
    pub(crate) lane: Key,
    pub(crate) epoch: i64,
    /// Most contacts.
    pub(crate) batch: u32,
    /// Grows with every request of the lane, so that each type gets its turn.
    pub(crate) turn: u64,
    pub(crate) rules: Arc<LaneRules>,
}

/// What a lane may send next.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) contacts: Vec<Claimed>,
    pub(crate) types: HashMap<QueueId, MessageType>,
    /// When the earliest contact that comes again is due.
    pub(crate) next_due_at: Option<DateTime<Utc>>,
}

/// What became of a request; none: the lane is somebody else's.
type Answer = anyhow::Result<Option<Batch>>;

type Asked = (Request, oneshot::Sender<Answer>);

/// The way to the clerks.
#[derive(Clone)]
pub(crate) struct Clerk {
    requests: [mpsc::Sender<Asked>; CLERKS],
}

impl Clerk {
    /// Starts the clerks, which end with the last `Clerk`.
    pub(crate) fn start(pool: &PgPool, clock: &Clock) -> Self {
        Self {
            requests: std::array::from_fn(|_| {
                let (requests, inbox) = mpsc::channel(GROUP);
                tokio::spawn(serve(inbox, Kept::of(pool.clone()), clock.clone()));
                requests
            }),
        }
    }

    /// The lane's next batch; none when the lane is somebody else's.
    pub(crate) async fn claim(&self, request: Request) -> Answer {
        let (answer, answered) = oneshot::channel();
        let clerk = &self.requests[usize::from(request.lane.instance.0.as_bytes()[15]) % CLERKS];
        clerk.send((request, answer)).await.map_err(|_| anyhow::anyhow!("nobody claims any more"))?;
        answered.await.map_err(|_| anyhow::anyhow!("nobody claims any more"))?
    }
}

async fn serve(mut inbox: mpsc::Receiver<Asked>, mut conn: Kept, clock: Clock) {
    let mut group = Vec::with_capacity(GROUP);
    while conn.await_work(inbox.recv_many(&mut group, GROUP)).await > 0 {
        let (requests, answers): (Vec<Request>, Vec<_>) = group.drain(..).unzip();
        let mut claimed = claim_within(&mut conn, &requests, &clock).await;
        for (request, answer) in requests.iter().zip(answers) {
            let _gone = answer.send(match &mut claimed {
                Ok(batches) => Ok(batches.remove(&request.lane)),
                Err(error) if is_away(error) => Err(anyhow::anyhow!("{error:#}")),
                // So that one lane that cannot be claimed for does not take the others with it.
                Err(_) => claim_within(&mut conn, slice::from_ref(request), &clock)
                    .await
                    .map(|mut batches| batches.remove(&request.lane)),
            });
        }
    }
}

async fn claim_within(conn: &mut Kept, requests: &[Request], clock: &Clock) -> anyhow::Result<HashMap<Key, Batch>> {
    let claiming = async { claim(conn.get().await?, requests, clock.now()).await };
    let claimed = within(PATIENCE, claiming).await;
    if claimed.is_err() {
        conn.give_back();
    }
    claimed
}

/// A lane's runnable queues while a batch is put together.
struct Desk<'a> {
    request: &'a Request,
    queues: Vec<Runnable>,
    batch: Batch,
    is_done: bool,
}

async fn claim(
    conn: &mut PgConnection,
    requests: &[Request],
    now: DateTime<Utc>,
) -> anyhow::Result<HashMap<Key, Batch>> {
    let mut transaction = conn.begin().await?;
    let conn = &mut *transaction;
    let mut desks = sit_down(conn, requests, now).await?;
    while share_out(conn, &mut desks, now).await? {}
    fail_point!("claim::before_commit");
    transaction.commit().await?;
    fail_point!("claim::committed", |_| Err(anyhow::anyhow!("the commit was not answered")));
    let batch = |desk: Desk<'_>| {
        let types = desk.queues.iter().map(|queue| (queue.queue_id, queue.message_type)).collect();
        let next_due_at = desk.queues.iter().filter_map(|queue| queue.next_due_at).min();
        (desk.request.lane, Batch { types, next_due_at, ..desk.batch })
    };
    Ok(desks.into_values().map(batch).collect())
}

/// Locks the lanes that are still theirs and the queues that they may claim from; queues that must wait are told so.
async fn sit_down<'a>(
    conn: &mut PgConnection,
    requests: &'a [Request],
    now: DateTime<Utc>,
) -> anyhow::Result<HashMap<Key, Desk<'a>>> {
    let mut wanted: Vec<_> = requests.iter().map(|one| (one.lane.tenant, one.lane.instance, one.epoch)).collect();
    wanted.sort_unstable();
    let ours = lanes::lock(conn, &wanted).await?;
    let ours: Vec<_> = ours.iter().map(|lane| Key { tenant: lane.tenant_id, instance: lane.instance_id }).collect();
    let mut desks: HashMap<_, _> = requests
        .iter()
        .filter(|request| ours.contains(&request.lane))
        .map(|request| (request.lane, Desk { request, queues: Vec::new(), batch: Batch::default(), is_done: false }))
        .collect();
    let lanes: Vec<_> =
        desks.values().map(|desk| (desk.request.lane.tenant, desk.request.lane.instance, desk.request.batch)).collect();
    let runnable = queues::runnable(conn, &lanes, now).await?;
    // In the order that holds everywhere; what follows changes some of them in another.
    let locked: Vec<_> = runnable.iter().map(|queue| (queue.tenant_id, queue.queue_id)).collect();
    queues::lock(conn, &locked).await?;
    for queue in runnable {
        let lane = Key { tenant: queue.tenant_id, instance: queue.instance_id };
        let Some(desk) = desks.get_mut(&lane) else { continue };
        match hold_of(&queue, &desk.request.rules, now) {
            None => desk.queues.push(queue),
            Some((at, rule)) => hold_queue(conn, lane.tenant, queue.queue_id, at, rule, now).await?,
        }
    }
    Ok(desks)
}

/// Claims for every lane that has not got anything yet; false when there is nothing more to be had.
async fn share_out(
    conn: &mut PgConnection,
    desks: &mut HashMap<Key, Desk<'_>>,
    now: DateTime<Utc>,
) -> anyhow::Result<bool> {
    let mut asked = Vec::new();
    for desk in desks.values_mut().filter(|desk| !desk.is_done) {
        let waiting: Vec<_> = desk
            .queues
            .iter()
            .map(|queue| Waiting { priority: queue.message_type.priority(), waiting: queue.waiting })
            .collect();
        let quotas = shares(desk.request.batch, desk.request.turn, &waiting);
        let before = asked.len();
        for (queue, quota) in desk.queues.iter().zip(quotas).filter(|(_, quota)| *quota > 0) {
            let quota = i32::try_from(quota).unwrap_or(i32::MAX);
            asked.push((desk.request.lane, Quota { tenant_id: queue.tenant_id, queue_id: queue.queue_id, quota }));
        }
        desk.is_done = asked.len() == before;
    }
    if asked.is_empty() {
        return Ok(false);
    }
    let quotas: Vec<_> = asked.iter().map(|(_, quota)| *quota).collect();
    let lane_of: HashMap<_, _> = asked.iter().map(|(lane, quota)| (quota.queue_id, *lane)).collect();
    for contact in contacts::claim(conn, &quotas, now).await? {
        if let Some(desk) = lane_of.get(&contact.queue_id).and_then(|lane| desks.get_mut(lane)) {
            desk.batch.contacts.push(contact);
            desk.is_done = true;
        }
    }
    let mut reached = Vec::with_capacity(asked.len());
    for (lane, quota) in &asked {
        let Some(desk) = desks.get_mut(lane) else { continue };
        let Some(queue) = desk.queues.iter_mut().find(|queue| queue.queue_id == quota.queue_id) else { continue };
        reached.push((quota.tenant_id, quota.queue_id, place_reached(queue, &desk.batch.contacts)));
        if !desk.is_done {
            // It had less than it seemed to have, and perhaps others got no share because of it.
            queue.waiting = 0;
        }
    }
    queues::start(conn, &reached, now).await?;
    Ok(true)
}

/// The place in its batch below which a queue has no contact any more that waits for its first try.
fn place_reached(queue: &Runnable, claimed: &[Claimed]) -> i32 {
    let mut of_queue = claimed.iter().filter(|contact| contact.queue_id == queue.queue_id).peekable();
    if of_queue.peek().is_none() {
        return queue.total;
    }
    // Where the share was used up by others that come again, nothing was seen of the first tries.
    of_queue.filter_map(|contact| contact.position).min().unwrap_or(0)
}

/// Whether all of a queue must wait, before anything of it is claimed.
fn hold_of(queue: &Runnable, rules: &LaneRules, now: DateTime<Utc>) -> Option<(Option<DateTime<Utc>>, Rule)> {
    let contact = ContactFacts { status: ContactStatus::Pending, due_at: now, attempts: 0 };
    let queue =
        QueueFacts { status: queue.status, message_type: queue.message_type, scheduled_for: queue.scheduled_for };
    // The pace and the cap are the mark's to judge, on the locked row.
    let lane = LaneFacts { instance_state: InstanceState::Open, next_send_at: None, sent_today: 0, daily_cap: None };
    match decide(&contact, &queue, &rules.tenant, &lane, now) {
        Decision::Send | Decision::Skip { .. } => None,
        Decision::HoldUntil { at, rule } => Some((at, rule)),
    }
}

/// Notes on a queue why it waits, where its state does not say so already.
pub(crate) async fn hold_queue(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    at: Option<DateTime<Utc>>,
    rule: Rule,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    match rule {
        Rule::BusinessHours | Rule::DailyCap => {
            let at = at.unwrap_or(now + NEXT_LOOK);
            queues::pause_for_hours(conn, tenant, queue, Some(at), rule.as_str()).await
        }
        _ => Ok(()),
    }
}
