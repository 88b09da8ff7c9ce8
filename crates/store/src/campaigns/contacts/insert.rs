//! Inserts the contacts of a batch in one transaction, 64 with each statement. `intake::create` inserts the
//! first ones.

use std::fmt;
use std::ops::Range;

use chrono::{DateTime, NaiveDate, Utc};
use regua_domain::{ContactId, QueueId, TenantId};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{Error, PgConnection, Postgres};

/// A query that inserts a range of contacts. Its SQL begins with `$with` and ends with `$from`; its arguments after `$12`
/// are tenant (`$13`), queue (`$14`), `due_at` (`$15`), `now` (`$16`), and those of `$with`.
macro_rules! insert_contacts {
    ($with:literal, $from:literal, $contacts:expr, $rows:expr, $($argument:expr),+ $(,)?) => {
        sqlx::query!(
            $with
                + "insert into contacts (tenant_id, queue_id, contact_id, position, external_id, name, phone, due_date,
                                         amount_cents, variables, metadata, variation, reference, text, due_at,
                                         created_at, updated_at)
                   select $13, $14, u.id, u.position, u.external_id, u.name, u.phone, u.due_date, u.amount,
                          u.variables::jsonb, u.metadata::jsonb, u.variation, u.reference, u.text, $15, $16, $16
                   from unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::date[], $7::bigint[],
                               $8::text[], $9::text[], $10::smallint[], $11::text[], $12::text[])
                        as u (id, position, external_id, name, phone, due_date, amount, variables, metadata, variation,
                              reference, text)"
                + $from,
            &$contacts.ids[$rows] as &[regua_domain::ContactId],
            &$contacts.positions[$rows],
            &$contacts.external_ids[$rows] as &[Option<String>],
            &$contacts.names[$rows],
            &$contacts.phones[$rows],
            &$contacts.due_dates[$rows] as &[Option<chrono::NaiveDate>],
            &$contacts.amounts[$rows] as &[Option<i64>],
            &$contacts.variables[$rows],
            &$contacts.metadata[$rows],
            &$contacts.variations[$rows],
            &$contacts.references[$rows],
            &$contacts.texts[$rows],
            $($argument),+
        )
    };
}

pub(crate) use insert_contacts;

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

impl NewContacts {
    /// The contacts that `intake::create` inserts.
    pub(crate) fn first(&self) -> Range<usize> {
        0..self.ids.len().min(CONTACTS_PER_STATEMENT)
    }
}

/// A statement that inserts contacts, with its encoded arguments.
pub struct Insertion(Query<'static, Postgres, PgArguments>);

impl fmt::Debug for Insertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Insertion")
    }
}

/// Encodes the statements that insert the contacts of a batch after the first ones, which `intake::create` inserts.
/// A large batch keeps a core busy.
pub fn insertions(
    tenant: TenantId,
    queue: QueueId,
    contacts: &NewContacts,
    due_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<Insertion> {
    let count = contacts.ids.len();
    let insertion = |first: usize| {
        let end = count.min(first + CONTACTS_PER_STATEMENT);
        Insertion(insert_contacts!("", "", contacts, first..end, tenant as TenantId, queue as QueueId, due_at, now))
    };
    (CONTACTS_PER_STATEMENT..count).step_by(CONTACTS_PER_STATEMENT).map(insertion).collect()
}

impl Insertion {
    /// Inserts the contacts.
    pub async fn execute(self, conn: &mut PgConnection) -> Result<(), Error> {
        self.0.execute(conn).await?;
        Ok(())
    }
}
