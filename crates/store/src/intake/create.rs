//! Stores an accepted batch in one transaction: its campaign with the first contacts, then the others, 64 with each
//! statement.

use std::fmt;
use std::ops::Range;

use chrono::{DateTime, NaiveDate, Utc};
use regua_domain::{
    ApiKeyId, CampaignId, ContactId, InstanceId, MessageType, QueueId, QueueStatus, TemplateId, TenantId,
    time_ordered_uuid,
};
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::types::Json;
use sqlx::{Error, PgConnection, Postgres};

use crate::doorbells::NewDoorbell;

/// A batch to be stored with its queue.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are the tables' columns")]
pub struct NewCampaign<'a> {
    pub tenant_id: TenantId,
    pub campaign_id: CampaignId,
    pub queue_id: QueueId,
    /// The caller's id of the batch: unique per tenant.
    pub external_id: &'a str,
    pub name: &'a str,
    pub message_type: MessageType,
    pub template_id: TemplateId,
    pub instance_id: InstanceId,
    /// The API key that posted it.
    pub api_key_id: ApiKeyId,
    /// The fingerprint.
    pub body_hash: &'a [u8],
    /// The answer's lists.
    pub rejected: &'a Value,
    pub warnings: &'a Value,
    /// The caller's data, returned unread.
    pub metadata: &'a RawValue,
    /// The earliest time of the first send.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// The first accepted contacts, at least one: what [`insertions`] leaves.
    pub contacts: &'a NewContacts,
    /// Number of all accepted contacts.
    pub total: i32,
    /// From when on they may be sent.
    pub due_at: DateTime<Utc>,
    /// The doorbell of the queue; none when it is not due yet.
    pub doorbell: Option<NewDoorbell>,
}

/// Accepted contacts of one batch, by column.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct NewContacts {
    pub ids: Vec<ContactId>,
    /// Places in the accepted batch.
    pub positions: Vec<i32>,
    pub external_ids: Vec<Option<String>>,
    pub names: Vec<String>,
    /// E.164.
    pub phones: Vec<String>,
    pub due_dates: Vec<Option<NaiveDate>>,
    /// Centavos.
    pub amounts: Vec<Option<i64>>,
    /// Own variables, as JSON text.
    pub variables: Vec<String>,
    /// The caller's data, as JSON text.
    pub metadata: Vec<String>,
    /// From 1.
    pub variations: Vec<i16>,
    pub references: Vec<String>,
    pub texts: Vec<String>,
}

/// Most contacts of one statement. Such a statement takes the database a few milliseconds, about a time slice of the
/// scheduler, so that other requests run in between.
const CONTACTS_PER_STATEMENT: usize = 64;

impl NewContacts {
    /// The contacts that [`create`] inserts.
    fn first(&self) -> Range<usize> {
        0..self.ids.len().min(CONTACTS_PER_STATEMENT)
    }

    /// Removes the contacts from this place on.
    fn split_off(&mut self, at: usize) -> Self {
        Self {
            ids: self.ids.split_off(at),
            positions: self.positions.split_off(at),
            external_ids: self.external_ids.split_off(at),
            names: self.names.split_off(at),
            phones: self.phones.split_off(at),
            due_dates: self.due_dates.split_off(at),
            amounts: self.amounts.split_off(at),
            variables: self.variables.split_off(at),
            metadata: self.metadata.split_off(at),
            variations: self.variations.split_off(at),
            references: self.references.split_off(at),
            texts: self.texts.split_off(at),
        }
    }
}

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
            &$contacts.ids[$rows] as &[ContactId],
            &$contacts.positions[$rows],
            &$contacts.external_ids[$rows] as &[Option<String>],
            &$contacts.names[$rows],
            &$contacts.phones[$rows],
            &$contacts.due_dates[$rows] as &[Option<NaiveDate>],
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

/// Stores a campaign, its queue, its doorbell and its first contacts; false, and nothing is stored, when the tenant has
/// a campaign of this `external_id`. [`insertions`] inserts the other contacts of a larger batch.
///
/// One statement, because each statement of a small post is a round trip, and a round trip takes longer than the work. A
/// concurrent call with the same `external_id` blocks here until the first one has committed or rolled back.
pub async fn create(conn: &mut PgConnection, new: &NewCampaign<'_>, now: DateTime<Utc>) -> Result<bool, Error> {
    let is_later = new.scheduled_for.is_some_and(|at| at > now);
    let status = if is_later { QueueStatus::Scheduled } else { QueueStatus::Pending };
    let doorbell = new.doorbell.as_ref();
    let inserted = insert_contacts!(
        "with campaign as (
             insert into campaigns (tenant_id, campaign_id, external_id, name, type, template_id, instance_id,
                                    api_key_id, body_hash, rejected, warnings, metadata, scheduled_for, created_at)
             values ($13, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $16)
             on conflict (tenant_id, external_id) do nothing
             returning campaign_id
         ), queue as (
             insert into queues (tenant_id, queue_id, campaign_id, instance_id, type, priority, status, scheduled_for,
                                 created_at, total, pending)
             select $13, $14, campaign_id, $22, $20, $29, $30, $28, $16, $31, $31 from campaign
         ), doorbell as (
             insert into doorbells (tenant_id, doorbell_id, routing_key, priority, body)
             select $13, $32, $33, $34, $35 from campaign where $33::text is not null
         )
         ",
        ", campaign",
        new.contacts,
        new.contacts.first(),
        new.tenant_id as TenantId,
        new.queue_id as QueueId,
        new.due_at,
        now,
        new.campaign_id as CampaignId,
        new.external_id,
        new.name,
        new.message_type as MessageType,
        new.template_id as TemplateId,
        new.instance_id as InstanceId,
        new.api_key_id as ApiKeyId,
        new.body_hash,
        new.rejected,
        new.warnings,
        Json(new.metadata) as _,
        new.scheduled_for,
        i16::from(new.message_type.priority()),
        status as QueueStatus,
        new.total,
        time_ordered_uuid(now),
        doorbell.map(|doorbell| doorbell.routing_key.as_str()),
        doorbell.map(|doorbell| i16::from(doorbell.priority)),
        doorbell.map(|doorbell| &doorbell.body) as Option<&Value>
    );
    Ok(inserted.execute(conn).await?.rows_affected() > 0)
}

/// A statement that inserts contacts, with its encoded arguments.
pub struct Insertion(Query<'static, Postgres, PgArguments>);

impl fmt::Debug for Insertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Insertion")
    }
}

/// Encodes the statements that insert the contacts of a batch after the first ones, which [`create`] inserts and which
/// stay in `contacts`. A large batch keeps a core busy. From the last contact on, so that the memory of each is free once
/// it is encoded.
pub fn insertions(
    tenant: TenantId,
    queue: QueueId,
    contacts: &mut NewContacts,
    due_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<Insertion> {
    let firsts = (CONTACTS_PER_STATEMENT..contacts.ids.len()).step_by(CONTACTS_PER_STATEMENT);
    let insertion = |first: usize| {
        let rows = contacts.split_off(first);
        Insertion(insert_contacts!("", "", rows, .., tenant as TenantId, queue as QueueId, due_at, now))
    };
    let mut insertions: Vec<_> = firsts.rev().map(insertion).collect();
    insertions.reverse();
    insertions
}

impl Insertion {
    /// Inserts the contacts.
    pub async fn execute(self, conn: &mut PgConnection) -> Result<(), Error> {
        self.0.execute(conn).await?;
        Ok(())
    }
}
