//! The data of one debtor of a tenant, over all tables: found, exported and erased (docs/privacy.md).

use std::fmt;

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, PhoneNumber, TenantId, Traces};
use serde_json::Value;
use sqlx::{Error, PgConnection};

use crate::contacts::{self, Erasable, ErasedContacts, Hashes};
use crate::database::PageReader;
use crate::{campaigns, webhook_events};

/// Most contacts of a page.
const PAGE: usize = 200;
/// Contacts that one search by phone number reads, in about a third of a second. There is no index by number: it would
/// make every batch a fifth slower, and such searches are rare (docs/privacy.md).
const SCAN: i64 = 100_000;

/// A debtor of a tenant, by phone number or by the tenant's own id. Debug shows neither.
#[derive(Clone, Default)]
pub struct Debtor {
    /// E.164, in all forms in which the number may be stored.
    pub phones: Vec<String>,
    /// The tenant's own id of the debtor.
    pub external_id: Option<String>,
    /// Keyed hashes of the number or the id, as erased contacts have them.
    pub hashes: Vec<Vec<u8>>,
}

impl fmt::Debug for Debtor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = if self.external_id.is_some() { "external_id" } else { "phone" };
        f.debug_struct("Debtor").field("by", &by).finish_non_exhaustive()
    }
}

/// A page of a debtor's contacts.
#[derive(Clone, Debug)]
pub struct Page {
    /// In the order of their ids.
    pub contacts: Vec<ContactId>,
    /// The next page begins after this contact; none: this is the last page.
    pub next: Option<ContactId>,
}

/// A debtor's contacts after `after`, erased ones included. A search by number reads a limited number of contacts; a
/// search by id uses the indexes `contacts_by_external_id` and `contacts_by_external_id_hash`.
pub async fn find(
    conn: &mut PgConnection,
    tenant: TenantId,
    debtor: &Debtor,
    after: Option<ContactId>,
) -> Result<Page, Error> {
    let after = after.unwrap_or(ContactId(uuid::Uuid::nil()));
    let (mut contacts, mut next) = match &debtor.external_id {
        Some(id) => (find_by_external_id(conn, tenant, id, &debtor.hashes, after).await?, None),
        None => find_by_phone(conn, tenant, debtor, after).await?,
    };
    if contacts.len() > PAGE {
        contacts.truncate(PAGE);
        next = contacts.last().copied();
    }
    Ok(Page { contacts, next })
}

async fn find_by_external_id(
    conn: &mut PgConnection,
    tenant: TenantId,
    external_id: &str,
    hashes: &[Vec<u8>],
    after: ContactId,
) -> Result<Vec<ContactId>, Error> {
    sqlx::query_scalar!(
        r#"with theirs as materialized (
             select contact_id from contacts where tenant_id = $1 and external_id = $2
             union
             select contact_id from contacts where tenant_id = $1 and external_id_hash = any($3)
         )
         select contact_id as "contact_id!: ContactId" from theirs where contact_id > $4 order by contact_id limit $5"#,
        tenant as TenantId,
        external_id,
        hashes,
        after as ContactId,
        PAGE as i64 + 1
    )
    .fetch_all(conn)
    .await
}

async fn find_by_phone(
    conn: &mut PgConnection,
    tenant: TenantId,
    debtor: &Debtor,
    after: ContactId,
) -> Result<(Vec<ContactId>, Option<ContactId>), Error> {
    let row = sqlx::query!(
        r#"with looked_at as materialized (
             select contact_id, phone = any($2) or coalesce(phone_hash = any($3), false) as is_theirs
             from contacts where tenant_id = $1 and contact_id > $4 order by contact_id limit $5
         )
         select coalesce(array_agg(contact_id order by contact_id) filter (where is_theirs), '{}') as "theirs!: Vec<ContactId>",
                (select contact_id from looked_at order by contact_id desc limit 1) as "last?: ContactId",
                count(*) = $5 as "is_full!"
         from looked_at"#,
        tenant as TenantId,
        &debtor.phones,
        &debtor.hashes,
        after as ContactId,
        SCAN
    )
    .fetch_one(conn)
    .await?;
    Ok((row.theirs, row.last.filter(|_| row.is_full)))
}

/// The contacts of a page with their batches, attempts, evidence and events. Where they are large, the page then ends
/// after those that were read.
///
/// It selects all columns, so that none is forgotten, and leaves out those that say nothing about a person: the tenant,
/// the worker and the lease of an attempt, and hashes. No index leads to the events of a contact: the statement reads the
/// tenant's events of 14 days, once for all contacts.
pub async fn export(conn: &mut PgConnection, tenant: TenantId, page: &mut Page) -> Result<Vec<Value>, Error> {
    let rows = sqlx::query_scalar!(
        r#"with happened as materialized (
             select v.contact_id, jsonb_agg(to_jsonb(v) - '{tenant_id,contact_id,queue_id,instance_id}'::text[] order by v.seq) as events
             from events v where v.tenant_id = $1 and v.contact_id = any($2) group by v.contact_id
           )
           select to_jsonb(c) - '{tenant_id,requeued,attempt_epoch,attempt_worker,phone_hash,external_id_hash}'::text[]
                  || jsonb_build_object(
                    'campaign', (select jsonb_build_object('campaign_id', p.campaign_id, 'external_id', p.external_id, 'name', p.name,
                                                           'type', p.type, 'created_at', p.created_at)
                                 from queues q join campaigns p using (tenant_id, campaign_id)
                                 where q.tenant_id = c.tenant_id and q.queue_id = c.queue_id),
                    'history', (select coalesce(jsonb_agg(to_jsonb(a) - '{tenant_id,contact_id,lease_epoch,worker}'::text[]
                                                          order by a.number), '[]')
                                from attempts a where a.tenant_id = c.tenant_id and a.contact_id = c.contact_id),
                    'evidence', (select coalesce(jsonb_agg(to_jsonb(e) - '{tenant_id,contact_id}'::text[]
                                                           order by e.evidence_id), '[]')
                                 from evidence e where e.tenant_id = c.tenant_id and e.contact_id = c.contact_id),
                    'events', coalesce(h.events, '[]')) as "contact!"
           from contacts c left join happened h using (contact_id)
           where c.tenant_id = $1 and c.contact_id = any($2) order by c.contact_id"#,
        tenant as TenantId,
        &page.contacts as &[ContactId]
    );
    let mut read = PageReader::up_to(PAGE as i64);
    read.add(rows.fetch(conn)).await?;
    let exported = read.finish();
    if exported.has_more {
        let id = exported.rows.last().and_then(|contact| contact["contact_id"].as_str()?.parse().ok());
        let last: ContactId = id.ok_or_else(|| Error::Decode("a contact without an id".into()))?;
        page.contacts.truncate(page.contacts.partition_point(|contact| *contact <= last));
        page.next = Some(last);
    }
    Ok(exported.rows)
}

/// What other tables say about a debtor: remarks of campaigns on its contacts, and webhook events that are not matched
/// yet.
pub async fn list_mentions(
    conn: &mut PgConnection,
    tenant: TenantId,
    debtor: &Debtor,
    contacts: &[ContactId],
) -> Result<(Vec<Value>, Vec<Value>), Error> {
    let known = Known::read(conn, tenant, debtor, contacts).await?;
    let remarks = campaigns::find_remarks(conn, tenant, &known.traces.external_ids()).await?;
    let webhooks = webhook_events::list_containing(conn, tenant, &known.needles).await?;
    Ok((remarks, webhooks))
}

/// Erases these contacts of a debtor, and what other tables say about them: remarks and metadata of campaigns, and
/// webhook events.
pub async fn erase(
    conn: &mut PgConnection,
    tenant: TenantId,
    debtor: &Debtor,
    contacts: &[ContactId],
    hashes: &(dyn Fn(&str, Option<&str>) -> Hashes + Send + Sync),
    now: DateTime<Utc>,
) -> Result<ErasedContacts, Error> {
    let known = Known::read(conn, tenant, debtor, contacts).await?;
    let erasable = |contact: &KnownContact| {
        let hashes = hashes(&contact.phone, contact.external_id.as_deref());
        Erasable { contact_id: contact.contact_id, hashes }
    };
    let erasable: Vec<_> = known.contacts.iter().map(erasable).collect();
    let erased = contacts::erase(conn, tenant, &erasable, now).await?;
    campaigns::remove_traces(conn, tenant, contacts, &known.traces).await?;
    webhook_events::delete_containing(conn, tenant, &known.needles).await?;
    Ok(erased)
}

/// The texts that identify a debtor, from the request and from its contacts that are not erased yet.
struct Known {
    contacts: Vec<KnownContact>,
    traces: Traces,
    /// In webhook events: digits of numbers, references, and ids of messages.
    needles: Vec<String>,
}

struct KnownContact {
    contact_id: ContactId,
    phone: String,
    external_id: Option<String>,
}

impl Known {
    async fn read(
        conn: &mut PgConnection,
        tenant: TenantId,
        debtor: &Debtor,
        contacts: &[ContactId],
    ) -> Result<Self, Error> {
        let mut known = Self { contacts: Vec::new(), traces: Traces::default(), needles: Vec::new() };
        known.add(&debtor.phones, debtor.external_id.as_deref());
        let rows = sqlx::query!(
            r#"select contact_id as "contact_id: ContactId", name, phone, external_id, reference, message_id from contacts
             where tenant_id = $1 and contact_id = any($2) and erased_at is null order by contact_id"#,
            tenant as TenantId,
            contacts as &[ContactId]
        )
        .fetch_all(conn)
        .await?;
        for row in rows {
            known.traces.add_name(&row.name);
            known.add(std::slice::from_ref(&row.phone), row.external_id.as_deref());
            known.needles.push(row.reference);
            known.needles.extend(row.message_id);
            let (contact_id, phone, external_id) = (row.contact_id, row.phone, row.external_id);
            known.contacts.push(KnownContact { contact_id, phone, external_id });
        }
        known.needles.sort_unstable();
        known.needles.dedup();
        Ok(known)
    }

    fn add(&mut self, phones: &[String], external_id: Option<&str>) {
        for phone in phones.iter().filter_map(|phone| PhoneNumber::from_stored(phone).ok()) {
            self.traces.add_phone(&phone);
            self.needles.extend(phone.same_line().iter().map(|line| line.digits().to_owned()));
        }
        external_id.into_iter().for_each(|id| self.traces.add_external_id(id));
    }
}
