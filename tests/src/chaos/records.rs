//! The records of a run: the rows of the database and the gateway's journal. `checks` compares them.

#![expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]

use std::collections::HashMap;
use std::path::Path;

use regua_store::queues;
use serde::Deserialize;
use sqlx::{FromRow, PgPool};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct Contact {
    pub(crate) tenant: String,
    /// The external id of the batch.
    pub(crate) batch: String,
    pub(crate) external_id: String,
    pub(crate) phone: String,
    pub(crate) queue_id: String,
    pub(crate) instance: String,
    pub(crate) message_type: String,
    pub(crate) status: String,
    pub(crate) queue_status: String,
    pub(crate) reason: Option<String>,
    pub(crate) message_id: Option<String>,
    pub(crate) resends: i16,
    /// Creation of the queue, in milliseconds since 1970.
    pub(crate) queued_at: i64,
}

#[derive(Clone, Debug, FromRow)]
pub(crate) struct Attempt {
    pub(crate) phone: String,
    pub(crate) started_at: i64,
    pub(crate) finished_at: Option<i64>,
    pub(crate) outcome: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) settled_by: Option<String>,
}

/// A message of the journal.
#[derive(Clone, Debug)]
pub(crate) struct SentMessage {
    pub(crate) instance: String,
    pub(crate) message_id: String,
    pub(crate) left_at: i64,
    /// Whether the gateway's database has the message.
    pub(crate) is_stored: bool,
}

pub(crate) struct Records {
    pub(crate) contacts: Vec<Contact>,
    /// By phone, in the order of the attempts.
    pub(crate) attempts: HashMap<String, Vec<Attempt>>,
    /// By phone, in the order of the journal.
    pub(crate) sent: HashMap<String, Vec<SentMessage>>,
    /// Counts that must be 0 at the end.
    pub(crate) leftovers: Vec<(&'static str, i64)>,
}

const LEFTOVERS: &[(&str, &str)] = &[
    ("waiting doorbells", "select count(*) from doorbells"),
    ("leases", "select count(*) from lanes where leased_by is not null"),
    ("attempts under way", "select count(*) from contacts where status = 'sending'"),
    ("dead letters", "select count(*) from dead_letters"),
    ("looks to come", "select count(*) from attempts where next_look_at is not null"),
    (
        "contacts that no claim will read",
        "select count(*) from contacts c join queues q using (tenant_id, queue_id)
         where c.status in ('pending', 'sending') and not c.requeued and c.position < q.next_position",
    ),
];

const CONTACTS: &str = "
    select t.slug as tenant, m.external_id as batch, coalesce(c.external_id, '') as external_id, c.phone,
           c.queue_id::text as queue_id, i.name as instance, q.type as message_type, c.status,
           q.status as queue_status, c.reason, c.message_id,
           c.resends,
           (extract(epoch from q.created_at) * 1000)::bigint as queued_at
    from contacts c join queues q using (tenant_id, queue_id) join campaigns m using (tenant_id, campaign_id)
         join instances i on i.tenant_id = q.tenant_id and i.instance_id = q.instance_id
         join tenants t on t.tenant_id = c.tenant_id";

const ATTEMPTS: &str = "
    select c.phone, (extract(epoch from a.started_at) * 1000)::bigint as started_at,
           (extract(epoch from a.finished_at) * 1000)::bigint as finished_at, a.outcome, a.reason,
           a.settled_by
    from attempts a join contacts c using (tenant_id, contact_id) order by a.number";

impl Records {
    pub(crate) async fn read(pool: &PgPool, journal: &Path) -> Self {
        let contacts = sqlx::query_as(CONTACTS).fetch_all(pool).await.unwrap();
        let mut attempts: HashMap<String, Vec<Attempt>> = HashMap::new();
        for attempt in sqlx::query_as::<_, Attempt>(ATTEMPTS).fetch_all(pool).await.unwrap() {
            attempts.entry(attempt.phone.clone()).or_default().push(attempt);
        }
        let mut leftovers = Vec::new();
        for (what, query) in LEFTOVERS {
            leftovers.push((*what, sqlx::query_scalar(*query).fetch_one(pool).await.unwrap()));
        }
        let miscounted = queues::list_miscounted(&mut pool.acquire().await.unwrap(), 1_000).await.unwrap();
        leftovers.push(("queues with wrong counts", i64::try_from(miscounted.len()).unwrap()));
        Self { contacts, attempts, sent: read_journal(journal), leftovers }
    }
}

/// The number of rows that still change. Contacts of the closed tenant do not count, because they wait beyond the run.
const OPEN_WORK: &str = "
    select (select count(*) from contacts join queues q using (tenant_id, queue_id) join tenants t using (tenant_id)
            where contacts.status in ('pending', 'sending')
              and not (q.status = 'paused_hours' and t.slug = 'fechado' and q.type <> 'notification'))
         + (select count(*) from doorbells)
         + (select count(*) from webhook_events)
         + (select count(*) from attempts where next_look_at is not null)";

pub(crate) async fn count_open_work(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(OPEN_WORK).fetch_one(pool).await
}

#[derive(Deserialize)]
struct Line {
    entry: Entry,
    row: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Entry {
    instance: String,
    number: String,
    message_id: String,
    left_at: i64,
}

fn read_journal(journal: &Path) -> HashMap<String, Vec<SentMessage>> {
    let mut sent: HashMap<String, Vec<SentMessage>> = HashMap::new();
    for line in std::fs::read_to_string(journal).unwrap_or_default().lines() {
        let Line { entry, row } = serde_json::from_str(line).unwrap();
        let Entry { instance, number, message_id, left_at } = entry;
        let sent = sent.entry(format!("+{number}")).or_default();
        sent.push(SentMessage { instance, message_id, left_at, is_stored: row.is_some() });
    }
    sent
}
