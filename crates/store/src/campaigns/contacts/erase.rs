//! Erases the personal data of contacts. Erased contacts are never sent again; state, times and message ids stay.

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, ContactStatus, QueueId, TenantId};
use sqlx::{Error, PgConnection};

use super::lock_unconfirmed;
use crate::columns::column;
use crate::queues::{self, ContactMove};

/// A contact to be erased, with the hashes that replace its debtor's identifiers.
#[derive(Clone)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Erasable {
    pub contact_id: ContactId,
    pub hashes: Hashes,
}

/// The keyed hashes that replace an erased contact's number and id.
#[derive(Clone, Debug, Default)]
pub struct Hashes {
    /// Of the phone number.
    pub phone: Option<Vec<u8>>,
    /// Of the tenant's own id.
    pub external_id: Option<Vec<u8>>,
}

/// Counts of an erasure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErasedContacts {
    /// Erased contacts.
    pub erased: u64,
    /// Of them, contacts that were pending.
    pub cancelled: u64,
    /// Contacts that are `sending`: each is erased after its finish, and is not retried.
    pub being_sent: u64,
}

/// Erases contacts. Pending contacts are cancelled first, and the request is stored for contacts that are `sending`. An
/// unconfirmed contact with stored evidence that its message left becomes `sent`. The looks for other unknown attempts
/// end, because a look needs the text. Queues are locked first, in key order. A contact that is erased already does not
/// change.
pub async fn erase(
    conn: &mut PgConnection,
    tenant: TenantId,
    contacts: &[Erasable],
    now: DateTime<Utc>,
) -> Result<ErasedContacts, Error> {
    let ids = column(contacts, |contact| contact.contact_id);
    for contact in lock(conn, tenant, &ids).await? {
        lock_unconfirmed(conn, tenant, contact, now).await?;
    }
    let cancelled = cancel(conn, tenant, &ids, now).await?;
    store_request(conn, tenant, contacts, now).await?;
    let (erased, being_sent) = erase_requested(conn, tenant, &ids, now).await?;
    Ok(ErasedContacts { erased, cancelled, being_sent })
}

/// Locks the queues of these contacts in key order, and then the contacts; returns those that are unconfirmed and not
/// erased.
async fn lock(conn: &mut PgConnection, tenant: TenantId, contacts: &[ContactId]) -> Result<Vec<ContactId>, Error> {
    let queues = sqlx::query_scalar!(
        r#"select distinct queue_id as "queue_id: QueueId" from contacts where tenant_id = $1 and contact_id = any($2)"#,
        tenant as TenantId,
        contacts as &[ContactId]
    )
    .fetch_all(&mut *conn)
    .await?;
    queues::lock(conn, &column(&queues, |queue| (tenant, *queue))).await?;
    let rows = sqlx::query!(
        r#"select contact_id as "contact_id: ContactId", status = 'unconfirmed' and erased_at is null as "is_unconfirmed!"
           from contacts where tenant_id = $1 and contact_id = any($2) order by contact_id for no key update"#,
        tenant as TenantId,
        contacts as &[ContactId]
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter(|row| row.is_unconfirmed).map(|row| row.contact_id).collect())
}

/// Cancels pending contacts; returns their number. A resent contact with an unknown attempt becomes `unconfirmed`
/// again.
async fn cancel(
    conn: &mut PgConnection,
    tenant: TenantId,
    contacts: &[ContactId],
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let moves = sqlx::query_as!(
        ContactMove,
        r#"update contacts c
           set status = case when c.resends > 0 and exists (
                                 select from attempts a where a.tenant_id = c.tenant_id
                                   and a.contact_id = c.contact_id and a.outcome = 'unknown') then 'unconfirmed'
                             else 'cancelled' end,
               requeued = false, reason = 'debtor_erased', updated_at = $3
           where tenant_id = $1 and contact_id = any($2) and status = 'pending'
           returning c.tenant_id as "tenant_id: TenantId", c.queue_id as "queue_id: QueueId",
                     c.contact_id as "contact_id: ContactId", 'pending' as "from!: ContactStatus",
                     c.status as "to: ContactStatus""#,
        tenant as TenantId,
        contacts as &[ContactId],
        now
    )
    .fetch_all(&mut *conn)
    .await?;
    queues::record_moves(conn, &moves, now).await?;
    Ok(moves.len() as u64)
}

/// Stores the requests with their hashes. A later request for the same contact does not replace the first one.
async fn store_request(
    conn: &mut PgConnection,
    tenant: TenantId,
    contacts: &[Erasable],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update contacts c set erasure_asked_at = $5, phone_hash = u.phone_hash, external_id_hash = u.external_id_hash
         from unnest($2::uuid[], $3::bytea[], $4::bytea[]) as u (contact_id, phone_hash, external_id_hash)
         where c.tenant_id = $1 and c.contact_id = u.contact_id and c.erasure_asked_at is null",
        tenant as TenantId,
        &column(contacts, |contact| contact.contact_id) as &[ContactId],
        &column(contacts, |contact| contact.hashes.phone.clone()) as &[Option<Vec<u8>>],
        &column(contacts, |contact| contact.hashes.external_id.clone()) as &[Option<Vec<u8>>],
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Erases the contacts with a stored request, except those that are `sending`; returns the numbers of both.
async fn erase_requested(
    conn: &mut PgConnection,
    tenant: TenantId,
    contacts: &[ContactId],
    now: DateTime<Utc>,
) -> Result<(u64, u64), Error> {
    // A look compares texts, so it can no longer find these attempts.
    sqlx::query!(
        "update attempts a
         set settled_by = case when a.outcome = 'unknown' then coalesce(a.settled_by, 'gave_up') else a.settled_by end,
             next_look_at = null
         from contacts c
         where a.tenant_id = $1 and a.contact_id = any($2) and c.tenant_id = $1 and c.contact_id = a.contact_id
           and c.erased_at is null and c.status <> 'sending' and (a.next_look_at is not null or a.outcome = 'unknown')",
        tenant as TenantId,
        contacts as &[ContactId]
    )
    .execute(&mut *conn)
    .await?;
    let erased = sqlx::query!(
        "update contacts
         set name = '', phone = '', text = '', external_id = null, due_date = null, amount_cents = null, variables = '{}',
             metadata = '{}', erased_at = $3, updated_at = $3
         where tenant_id = $1 and contact_id = any($2) and status not in ('pending', 'sending') and erased_at is null
           and erasure_asked_at is not null",
        tenant as TenantId,
        contacts as &[ContactId],
        now
    )
    .execute(&mut *conn)
    .await?;
    let being_sent = sqlx::query_scalar!(
        r#"select count(*) as "count!" from contacts
           where tenant_id = $1 and contact_id = any($2) and erased_at is null"#,
        tenant as TenantId,
        contacts as &[ContactId]
    )
    .fetch_one(conn)
    .await?;
    Ok((erased.rows_affected(), u64::try_from(being_sent).unwrap_or_default()))
}

/// A contact whose erasure was requested while the contact was `sending`, and whose attempt has finished since.
#[derive(Clone)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct DueErasure {
    pub tenant_id: TenantId,
    pub contact_id: ContactId,
    /// E.164.
    pub phone: String,
}

/// Contacts whose erasure is due. Index `contacts_to_erase`.
pub async fn list_due_erasures(conn: &mut PgConnection, limit: i64) -> Result<Vec<DueErasure>, Error> {
    sqlx::query_as!(
        DueErasure,
        r#"select tenant_id as "tenant_id: TenantId", contact_id as "contact_id: ContactId", phone from contacts
           where erasure_asked_at is not null and erased_at is null and status <> 'sending'
           order by tenant_id, contact_id limit $1"#,
        limit
    )
    .fetch_all(conn)
    .await
}
