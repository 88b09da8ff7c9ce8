//! How a contact stops being about anybody: it is never sent again, and what says who it was is gone. That it was sent, when, and with
//! which id at WhatsApp stays.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, ContactStatus, QueueId, TenantId};
use sqlx::{Error, PgConnection};

use super::lock_unconfirmed;
use crate::queues::{self, CountChange};

/// A contact that is to be erased, and what shall be kept of whom it was about.
#[derive(Clone)]
pub struct Erasable {
    /// Which.
    pub contact_id: ContactId,
    /// By which a number can be matched with it later.
    pub phone_hash: Option<Vec<u8>>,
    /// By which a customer's id can.
    pub external_id_hash: Option<Vec<u8>>,
}

/// What an erasure came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErasedContacts {
    /// Contacts that are nobody's now.
    pub erased: u64,
    /// Of them, those that waited to be sent and never will be.
    pub cancelled: u64,
    /// Contacts that are on their way: each is erased when its outcome is known, and is not tried again.
    pub being_sent: u64,
}

/// Erases contacts. Those that wait are cancelled first; of those on their way it is noted that they are to be. An unconfirmed one
/// whose attempt was proven meanwhile is sent; otherwise nobody looks for its attempt any more, because its text is gone. Queues are
/// locked here, in the order that holds everywhere; contacts that were erased before are left as they are.
///
/// # Errors
/// The database's.
pub async fn erase(
    conn: &mut PgConnection,
    tenant: TenantId,
    contacts: &[Erasable],
    now: DateTime<Utc>,
) -> Result<ErasedContacts, Error> {
    let ids: Vec<_> = contacts.iter().map(|contact| contact.contact_id.0).collect();
    lock(conn, tenant, &ids).await?;
    for contact in unconfirmed(conn, tenant, &ids).await? {
        lock_unconfirmed(conn, tenant, contact, now).await?;
    }
    let cancelled = cancel(conn, tenant, &ids, now).await?;
    ask(conn, tenant, contacts, now).await?;
    let (erased, being_sent) = erase_asked(conn, tenant, &ids, now).await?;
    Ok(ErasedContacts { erased, cancelled, being_sent })
}

/// Locks the queues of these contacts in key order, and then the contacts.
async fn lock(conn: &mut PgConnection, tenant: TenantId, contacts: &[uuid::Uuid]) -> Result<(), Error> {
    let rows = sqlx::query!(
        "select distinct queue_id from contacts where tenant_id = $1 and contact_id = any($2)",
        tenant.0,
        contacts
    )
    .fetch_all(&mut *conn)
    .await?;
    let queues: Vec<_> = rows.iter().map(|row| (tenant, QueueId(row.queue_id))).collect();
    queues::lock(conn, &queues).await?;
    sqlx::query!(
        "select contact_id from contacts where tenant_id = $1 and contact_id = any($2) order by contact_id for no key update",
        tenant.0,
        contacts
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

async fn unconfirmed(
    conn: &mut PgConnection,
    tenant: TenantId,
    contacts: &[uuid::Uuid],
) -> Result<Vec<ContactId>, Error> {
    let rows = sqlx::query!(
        "select contact_id from contacts
         where tenant_id = $1 and contact_id = any($2) and status = 'unconfirmed' and erased_at is null",
        tenant.0,
        contacts
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| ContactId(row.contact_id)).collect())
}

/// Cancels what waits, and counts it. One that was to be sent once more, and of which nobody can say whether its earlier try left, is
/// unconfirmed again.
async fn cancel(
    conn: &mut PgConnection,
    tenant: TenantId,
    contacts: &[uuid::Uuid],
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let rows = sqlx::query!(
        r#"update contacts c
           set status = case when c.resends > 0 and exists (
                                 select from attempts a where a.tenant_id = c.tenant_id
                                   and a.contact_id = c.contact_id and a.outcome = 'unknown') then 'unconfirmed'
                             else 'cancelled' end,
               requeued = false, reason = 'debtor_erased', updated_at = $3
           where tenant_id = $1 and contact_id = any($2) and status = 'pending'
           returning c.queue_id, c.status"#,
        tenant.0,
        contacts,
        now
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut changes: BTreeMap<QueueId, CountChange> = BTreeMap::new();
    for row in &rows {
        let status: ContactStatus = row.status.parse().map_err(|error| Error::Decode(Box::new(error)))?;
        let change = changes.entry(QueueId(row.queue_id)).or_default();
        change.pending -= 1;
        *change.of(status) += 1;
    }
    let changes: Vec<_> = changes.into_iter().map(|(queue, change)| (tenant, queue, change)).collect();
    queues::change_counts(conn, &changes, now).await?;
    Ok(rows.len() as u64)
}

/// Notes that contacts are to be erased, with what shall be kept; one of which it is noted already is left as it is.
async fn ask(
    conn: &mut PgConnection,
    tenant: TenantId,
    contacts: &[Erasable],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update contacts c set erasure_asked_at = $5, phone_hash = u.phone_hash, external_id_hash = u.external_id_hash
         from unnest($2::uuid[], $3::bytea[], $4::bytea[]) as u (contact_id, phone_hash, external_id_hash)
         where c.tenant_id = $1 and c.contact_id = u.contact_id and c.erasure_asked_at is null",
        tenant.0,
        &contacts.iter().map(|contact| contact.contact_id.0).collect::<Vec<_>>(),
        &contacts.iter().map(|contact| contact.phone_hash.clone()).collect::<Vec<_>>() as &[Option<Vec<u8>>],
        &contacts.iter().map(|contact| contact.external_id_hash.clone()).collect::<Vec<_>>() as &[Option<Vec<u8>>],
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Leaves nothing of whom contacts were about; answers how many, and how many are on their way.
async fn erase_asked(
    conn: &mut PgConnection,
    tenant: TenantId,
    contacts: &[uuid::Uuid],
    now: DateTime<Utc>,
) -> Result<(u64, u64), Error> {
    // What was looked for by its text can be found no more.
    sqlx::query!(
        "update attempts a
         set settled_by = case when a.outcome = 'unknown' then coalesce(a.settled_by, 'gave_up') else a.settled_by end,
             next_look_at = null
         from contacts c
         where a.tenant_id = $1 and a.contact_id = any($2) and c.tenant_id = $1 and c.contact_id = a.contact_id
           and c.erased_at is null and c.status <> 'sending' and (a.next_look_at is not null or a.outcome = 'unknown')",
        tenant.0,
        contacts
    )
    .execute(&mut *conn)
    .await?;
    let erased = sqlx::query!(
        "update contacts
         set name = '', phone = '', text = '', external_id = null, due_date = null, amount_cents = null, variables = '{}',
             metadata = '{}', erased_at = $3, updated_at = $3
         where tenant_id = $1 and contact_id = any($2) and status not in ('pending', 'sending') and erased_at is null
           and erasure_asked_at is not null",
        tenant.0,
        contacts,
        now
    )
    .execute(&mut *conn)
    .await?;
    let left = sqlx::query!(
        r#"select count(*) as "count!" from contacts
           where tenant_id = $1 and contact_id = any($2) and erased_at is null"#,
        tenant.0,
        contacts
    )
    .fetch_one(conn)
    .await?;
    Ok((erased.rows_affected(), u64::try_from(left.count).unwrap_or_default()))
}

/// Contacts that were asked to be erased while they were on their way, and are not any more. Index `contacts_to_erase`.
///
/// # Errors
/// The database's.
pub async fn to_erase(conn: &mut PgConnection, limit: i64) -> Result<Vec<(TenantId, ContactId, String)>, Error> {
    let rows = sqlx::query!(
        "select tenant_id, contact_id, phone from contacts
         where erasure_asked_at is not null and erased_at is null and status <> 'sending'
         order by tenant_id, contact_id limit $1",
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), ContactId(row.contact_id), row.phone)).collect())
}
