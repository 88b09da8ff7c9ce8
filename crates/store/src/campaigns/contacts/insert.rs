//! Inserts the contacts of a batch in one transaction, 64 with each statement.

use std::fmt;
use std::ops::Range;

use chrono::{DateTime, NaiveDate, Utc};
use regua_domain::{ContactId, QueueId, TenantId};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{Error, PgConnection, Postgres};

/// Accepted contacts of one batch, by column.
#[derive(Debug, Default)]
pub struct NewContacts {
    /// Ids.
    pub ids: Vec<ContactId>,
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
    /// The caller's data, as JSON text.
    pub metadata: Vec<String>,
    /// Numbers of the variations, from 1.
    pub variations: Vec<i16>,
    /// References in the texts.
    pub references: Vec<String>,
    /// Rendered texts.
    pub texts: Vec<String>,
}

/// Most contacts of one statement. Such a statement takes the database a few milliseconds, about a time slice of the
/// scheduler, so that other requests run in between.
const CONTACTS_PER_STATEMENT: usize = 64;

/// A statement that inserts contacts, with its encoded arguments.
pub struct Insertion(Query<'static, Postgres, PgArguments>);

impl fmt::Debug for Insertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Insertion")
    }
}

/// Encodes the statements that insert all contacts of a batch. A large batch keeps a core busy.
pub fn insertions(
    tenant: TenantId,
    queue: QueueId,
    contacts: &NewContacts,
    due_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<Insertion> {
    let count = contacts.ids.len();
    let ranges =
        (0..count).step_by(CONTACTS_PER_STATEMENT).map(|first| first..count.min(first + CONTACTS_PER_STATEMENT));
    ranges.map(|rows| insertion(tenant, queue, contacts, rows, due_at, now)).collect()
}

fn insertion(
    tenant: TenantId,
    queue: QueueId,
    contacts: &NewContacts,
    rows: Range<usize>,
    due_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Insertion {
    Insertion(sqlx::query!(
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
        tenant as TenantId,
        queue as QueueId,
        due_at,
        now,
        &contacts.ids[rows.clone()] as &[ContactId],
        &contacts.positions[rows.clone()],
        &contacts.external_ids[rows.clone()] as &[Option<String>],
        &contacts.names[rows.clone()],
        &contacts.phones[rows.clone()],
        &contacts.due_dates[rows.clone()] as &[Option<NaiveDate>],
        &contacts.amounts[rows.clone()] as &[Option<i64>],
        &contacts.variables[rows.clone()],
        &contacts.metadata[rows.clone()],
        &contacts.variations[rows.clone()],
        &contacts.references[rows.clone()],
        &contacts.texts[rows]
    ))
}

impl Insertion {
    /// Inserts the contacts.
    pub async fn execute(self, conn: &mut PgConnection) -> Result<(), Error> {
        self.0.execute(conn).await?;
        Ok(())
    }
}
