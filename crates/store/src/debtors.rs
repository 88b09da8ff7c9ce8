//! Everything that is kept about one debtor of a tenant, over all tables: found, shown, and erased (docs/privacy.md).

use std::fmt;

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, PhoneNumber, TenantId, Traces};
use serde_json::Value;
use sqlx::{Error, PgConnection};

use crate::contacts::{self, Erasable, ErasedContacts};
use crate::{campaigns, webhook_events};

/// Contacts that one look finds at most.
const MOST: usize = 200;
/// Contacts that one look by number looks through: there is no index by it, because it would cost every batch a fifth more, and a
/// debtor asks seldom (docs/privacy.md). It takes about a third of a second.
const ROWS: i64 = 100_000;

/// Whom is meant: by number or by the tenant's own id, and by the hashes of either that erased contacts are kept under. Debug shows
/// none of it.
#[derive(Clone, Default)]
pub struct Debtor {
    /// In all forms in which it may be kept, E.164.
    pub phones: Vec<String>,
    /// The tenant's own id of them.
    pub external_id: Option<String>,
    /// Of whichever it is.
    pub hashes: Vec<Vec<u8>>,
}

impl fmt::Debug for Debtor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = if self.external_id.is_some() { "external_id" } else { "phone" };
        f.debug_struct("Debtor").field("by", &by).finish_non_exhaustive()
    }
}

/// What is kept of a contact's number and id.
#[derive(Clone, Debug, Default)]
pub struct Hashes {
    /// Of the number.
    pub phone: Option<Vec<u8>>,
    /// Of the tenant's own id.
    pub external_id: Option<Vec<u8>>,
}

/// A part of a debtor's contacts.
#[derive(Clone, Debug)]
pub struct Page {
    /// In the order of their ids.
    pub contacts: Vec<ContactId>,
    /// From where to look on; none: that was all.
    pub next: Option<ContactId>,
}

/// A debtor's contacts, erased ones among them, from `after` on. By number it looks through so many contacts at once, by id it uses
/// `contacts_by_external_id` and `contacts_by_external_id_hash`.
///
/// # Errors
/// The database's.
pub async fn find(
    conn: &mut PgConnection,
    tenant: TenantId,
    debtor: &Debtor,
    after: Option<ContactId>,
) -> Result<Page, Error> {
    let after = after.map_or(uuid::Uuid::nil(), |after| after.0);
    let (mut found, mut next) = match &debtor.external_id {
        Some(id) => (by_external_id(conn, tenant, id, &debtor.hashes, after).await?, None),
        None => by_phone(conn, tenant, debtor, after).await?,
    };
    if found.len() > MOST {
        found.truncate(MOST);
        next = found.last().copied();
    }
    Ok(Page { contacts: found.into_iter().map(ContactId).collect(), next: next.map(ContactId) })
}

async fn by_external_id(
    conn: &mut PgConnection,
    tenant: TenantId,
    external_id: &str,
    hashes: &[Vec<u8>],
    after: uuid::Uuid,
) -> Result<Vec<uuid::Uuid>, Error> {
    let rows = sqlx::query!(
        r#"with theirs as materialized (
             select contact_id from contacts where tenant_id = $1 and external_id = $2
             union
             select contact_id from contacts where tenant_id = $1 and external_id_hash = any($3)
         )
         select contact_id as "contact_id!" from theirs where contact_id > $4 order by contact_id limit $5"#,
        tenant.0,
        external_id,
        hashes,
        after,
        MOST as i64 + 1
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.contact_id).collect())
}

async fn by_phone(
    conn: &mut PgConnection,
    tenant: TenantId,
    debtor: &Debtor,
    after: uuid::Uuid,
) -> Result<(Vec<uuid::Uuid>, Option<uuid::Uuid>), Error> {
    let row = sqlx::query!(
        r#"with looked_at as materialized (
             select contact_id, phone = any($2) or coalesce(phone_hash = any($3), false) as is_theirs
             from contacts where tenant_id = $1 and contact_id > $4 order by contact_id limit $5
         )
         select coalesce(array_agg(contact_id order by contact_id) filter (where is_theirs), '{}') as "theirs!",
                (select contact_id from looked_at order by contact_id desc limit 1) as last,
                count(*) = $5 as "is_full!"
         from looked_at"#,
        tenant.0,
        &debtor.phones,
        &debtor.hashes,
        after,
        ROWS
    )
    .fetch_one(conn)
    .await?;
    Ok((row.theirs, row.last.filter(|_| row.is_full)))
}

/// All that is kept of these contacts, each with its batch, its tries and what was learnt of them.
///
/// The columns are the table's own, so that none is forgotten; left out is what tells nothing of a person: whose row it is, which
/// process was at it, and hashes.
///
/// # Errors
/// The database's.
pub async fn export(conn: &mut PgConnection, tenant: TenantId, contacts: &[ContactId]) -> Result<Vec<Value>, Error> {
    let rows = sqlx::query!(
        r#"select to_jsonb(c) - '{tenant_id,requeued,attempt_epoch,attempt_worker,phone_hash,external_id_hash}'::text[]
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
                                 from evidence e where e.tenant_id = c.tenant_id and e.contact_id = c.contact_id)) as "contact!"
           from contacts c where c.tenant_id = $1 and c.contact_id = any($2) order by c.contact_id"#,
        tenant.0,
        &ids(contacts)
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.contact).collect())
}

/// What is kept about a debtor beside their contacts: remarks on their contacts in batches, and the gateway's webhooks that have not
/// been matched yet.
///
/// # Errors
/// The database's.
pub async fn elsewhere(
    conn: &mut PgConnection,
    tenant: TenantId,
    debtor: &Debtor,
    contacts: &[ContactId],
) -> Result<(Vec<Value>, Vec<Value>), Error> {
    let known = Known::read(conn, tenant, debtor, contacts).await?;
    let remarks = campaigns::remarks_on(conn, tenant, &known.traces.external_ids()).await?;
    let webhooks = webhook_events::telling_of(conn, tenant, &known.needles).await?;
    Ok((remarks, webhooks))
}

/// Erases these contacts of a debtor, and what tells of them elsewhere: remarks and metadata of batches, and webhooks.
///
/// # Errors
/// The database's.
pub async fn erase(
    conn: &mut PgConnection,
    tenant: TenantId,
    debtor: &Debtor,
    contacts: &[ContactId],
    hashes: &(dyn Fn(&str, Option<&str>) -> Hashes + Send + Sync),
    now: DateTime<Utc>,
) -> Result<ErasedContacts, Error> {
    let known = Known::read(conn, tenant, debtor, contacts).await?;
    let erasable: Vec<_> = known
        .contacts
        .iter()
        .map(|contact| {
            let Hashes { phone, external_id } = hashes(&contact.phone, contact.external_id.as_deref());
            Erasable { contact_id: contact.contact_id, phone_hash: phone, external_id_hash: external_id }
        })
        .collect();
    let erased = contacts::erase(conn, tenant, &erasable, now).await?;
    campaigns::take_out(conn, tenant, contacts, &known.traces).await?;
    webhook_events::forget(conn, tenant, &known.needles).await?;
    Ok(erased)
}

fn ids(contacts: &[ContactId]) -> Vec<uuid::Uuid> {
    contacts.iter().map(|contact| contact.0).collect()
}

/// What a debtor is known by, from the request and from their contacts that are not erased yet.
struct Known {
    contacts: Vec<KnownContact>,
    traces: Traces,
    /// What stands in webhooks about them: digits, references, and ids of messages.
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
            "select contact_id, name, phone, external_id, reference, message_id from contacts
             where tenant_id = $1 and contact_id = any($2) and erased_at is null order by contact_id",
            tenant.0,
            &ids(contacts)
        )
        .fetch_all(conn)
        .await?;
        for row in rows {
            known.traces.add_name(&row.name);
            known.add(std::slice::from_ref(&row.phone), row.external_id.as_deref());
            known.needles.push(row.reference);
            known.needles.extend(row.message_id);
            let contact_id = ContactId(row.contact_id);
            known.contacts.push(KnownContact { contact_id, phone: row.phone, external_id: row.external_id });
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
