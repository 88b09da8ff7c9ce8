//! How the contacts of a batch come in: one statement, however many there are.

use chrono::{DateTime, NaiveDate, Utc};
use regua_domain::{QueueId, TenantId};
use sqlx::{Error, PgConnection};

/// Accepted contacts of one batch, by column, as they are inserted.
#[derive(Debug, Default)]
pub struct NewContacts {
    /// Their ids.
    pub ids: Vec<uuid::Uuid>,
    /// Places in the accepted batch.
    pub positions: Vec<i32>,
    /// The caller's ids.
    pub external_ids: Vec<Option<String>>,
    /// Names.
    pub names: Vec<String>,
    /// E.164.
    pub phones: Vec<String>,
    /// Due dates.
    pub due_dates: Vec<Option<NaiveDate>>,
    /// Centavos.
    pub amounts: Vec<Option<i64>>,
    /// Own variables, as JSON text.
    pub variables: Vec<String>,
    /// The caller's own, as JSON text.
    pub metadata: Vec<String>,
    /// Wording used, from 1.
    pub variations: Vec<i16>,
    /// References in the texts.
    pub references: Vec<String>,
    /// Rendered texts.
    pub texts: Vec<String>,
}

/// Stores all contacts of a batch in one statement. They are due at `due_at`, in the order of the batch.
///
/// # Errors
/// The database's.
pub async fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    contacts: &NewContacts,
    due_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into contacts (tenant_id, queue_id, contact_id, position, external_id, name, phone, due_date,
                               amount_cents, variables, metadata, variation, reference, text, due_at, created_at,
                               updated_at)
         select $1, $2, u.id, u.position, u.external_id, u.name, u.phone, u.due_date, u.amount, u.variables::jsonb,
                u.metadata::jsonb, u.variation, u.reference, u.text,
                $3, $4, $4
         from unnest($5::uuid[], $6::integer[], $7::text[], $8::text[], $9::text[], $10::date[], $11::bigint[],
                     $12::text[], $13::text[], $14::smallint[], $15::text[], $16::text[])
              as u (id, position, external_id, name, phone, due_date, amount, variables, metadata, variation, reference,
                    text)",
        tenant.0,
        queue.0,
        due_at,
        now,
        &contacts.ids,
        &contacts.positions,
        &contacts.external_ids as &[Option<String>],
        &contacts.names,
        &contacts.phones,
        &contacts.due_dates as &[Option<NaiveDate>],
        &contacts.amounts as &[Option<i64>],
        &contacts.variables,
        &contacts.metadata,
        &contacts.variations,
        &contacts.references,
        &contacts.texts
    )
    .execute(conn)
    .await?;
    Ok(())
}
