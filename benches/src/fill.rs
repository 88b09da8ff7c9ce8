//! Stores campaigns, queues and contacts by the million with `insert … select`.
//!
//! The rows are like those of intake and worker: ids in the order of time, references spread over their index, texts of
//! about 170 characters. Sent campaigns have no attempts.

use anyhow::Context;
use regua_boot::Clock;
use regua_broker::{Doorbell, DoorbellKind, ring_all};
use regua_domain::QueueId;
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use crate::tenants::Tenant;
use crate::testbed::Testbed;

/// Most contacts of one statement.
const PORTION: usize = 250_000;
/// From this many contacts on, indexes are built after the rows are inserted.
const MANY: usize = 1_000_000;

#[derive(Clone, Copy)]
pub(crate) struct Fill {
    /// Queues, assigned to the tenant's instances in turn.
    pub(crate) queues: usize,
    pub(crate) contacts: usize,
    /// How many of the queues are pending: the first ones. The others are sent.
    pub(crate) waiting: usize,
}

impl Fill {
    const fn total(&self) -> usize {
        self.queues * self.contacts
    }

    /// Stores the rows for a tenant, with vacuum and analyze; returns the queues, pending ones first.
    pub(crate) async fn store(&self, testbed: &Testbed, tenant: &Tenant) -> anyhow::Result<Vec<QueueId>> {
        let queues = self.store_without_vacuum(testbed, tenant).await?;
        Self::vacuum(testbed).await?;
        Ok(queues)
    }

    /// Like `store`; the caller vacuums.
    pub(crate) async fn store_without_vacuum(
        &self,
        testbed: &Testbed,
        tenant: &Tenant,
    ) -> anyhow::Result<Vec<QueueId>> {
        let mut conn = testbed.connect().await?;
        let queues = self.store_queues(&mut conn, tenant).await?;
        let dropped = if self.total() >= MANY { Some(DroppedIndexes::drop_all(&mut conn).await?) } else { None };
        let portion = (PORTION / self.contacts).max(1);
        for first in (0..self.queues).step_by(portion) {
            self.store_contacts(&mut conn, tenant, first, (first + portion).min(self.queues)).await?;
        }
        if let Some(dropped) = dropped {
            dropped.restore(&mut conn).await?;
        }
        Ok(queues)
    }

    pub(crate) async fn vacuum(testbed: &Testbed) -> anyhow::Result<()> {
        let mut conn = testbed.connect().await?;
        for statement in ["vacuum (analyze)", "checkpoint"] {
            conn.execute(statement).await?;
        }
        Ok(())
    }

    async fn store_queues(&self, conn: &mut PgConnection, tenant: &Tenant) -> anyhow::Result<Vec<QueueId>> {
        let instances: Vec<_> = tenant.instances.iter().map(|instance| instance.id.0).collect();
        let ids = sqlx::query_scalar(
            "with queue as materialized (
                 select n, u.instance_id, now() - interval '1 hour' + n * interval '1 millisecond' as at,
                        ('0190' || lpad(to_hex(n), 12, '0') || '8000' || substr(md5($1::text || n), 1, 12))::uuid as id
                 from generate_series(0, $2::integer - 1) n
                 join unnest($5::uuid[]) with ordinality u (instance_id, place) on u.place = n % cardinality($5) + 1
             ), campaign as (
                 insert into campaigns (tenant_id, campaign_id, external_id, name, type, template_id, instance_id,
                                        api_key_id, body_hash, created_at)
                 select $1, queue.id, 'estoque-' || n, 'Estoque', 'overdue', d.template_id, queue.instance_id,
                        k.api_key_id, sha256(n::text::bytea), at
                 from queue join type_defaults d on d.tenant_id = $1 and d.type = 'overdue'
                 join api_keys k on k.tenant_id = $1
             )
             insert into queues (tenant_id, queue_id, campaign_id, instance_id, type, priority, status, created_at,
                                 started_at, finished_at, total, pending, sent, next_position)
             select $1, id, id, instance_id, 'overdue', 10, case when n < $4 then 'pending' else 'completed' end, at,
                    case when n >= $4 then at end, case when n >= $4 then at end, $3,
                    case when n < $4 then $3 else 0 end, case when n < $4 then 0 else $3 end,
                    case when n < $4 then 0 else $3 end
             from queue order by n
             returning queue_id",
        )
        .bind(tenant.id.0)
        .bind(i32::try_from(self.queues)?)
        .bind(i32::try_from(self.contacts)?)
        .bind(i32::try_from(self.waiting)?)
        .bind(instances)
        .fetch_all(conn)
        .await?;
        Ok(ids.into_iter().map(QueueId).collect())
    }

    async fn store_contacts(
        &self,
        conn: &mut PgConnection,
        tenant: &Tenant,
        first: usize,
        end: usize,
    ) -> anyhow::Result<()> {
        sqlx::query(
            "insert into contacts (tenant_id, queue_id, contact_id, position, external_id, name, phone, due_date,
                                   amount_cents, variation, reference, text, status, due_at, attempts,
                                   message_id, sent_at, created_at, updated_at)
             select $1, q.queue_id,
                    ('0190' || lpad(to_hex(c.n), 12, '0') || '8000' || lpad(to_hex(c.n * 2654435761 & 281474976710655), 12, '0'))::uuid,
                    p, 'estoque-' || c.n, 'Maria da Silva', '+55119' || 60000000 + c.n % 40000000, '2026-11-10', 15000, 1,
                    upper(lpad(to_hex(c.n * 2654435761 & 4294967295), 8, '0')),
                    'Olá Maria, tudo bem? Identificamos que a fatura de R$ 150,00, com vencimento em 10/11/2026, está em aberto há '
                    || '11 dias. Se já pagou, desconsidere este aviso. Ref. ' || upper(lpad(to_hex(c.n * 2654435761 & 4294967295), 8, '0')),
                    case when q.pending > 0 then 'pending' else 'sent' end,
                    q.created_at + p * interval '1 microsecond', case when q.pending > 0 then 0 else 1 end,
                    case when q.pending = 0 then '3EB0' || upper(md5(c.n::text)) end,
                    case when q.pending = 0 then q.created_at end, q.created_at, q.created_at
             from (select *, ('x' || substr(replace(queue_id::text, '-', ''), 5, 12))::bit(48)::bigint as place
                   from queues where tenant_id = $1 order by queue_id limit $4::integer - $3::integer offset $3) q
             cross join generate_series(0, $2::integer - 1) p
             cross join lateral (select q.place * $2 + p as n) c
             order by q.queue_id, p",
        )
        .bind(tenant.id.0)
        .bind(i32::try_from(self.contacts)?)
        .bind(i32::try_from(first)?)
        .bind(i32::try_from(end)?)
        .execute(conn)
        .await
        .context("contacts could not be stored")?;
        Ok(())
    }
}

/// Inserts a doorbell for each of these queues; the relay of an API publishes them.
pub(crate) async fn ring(testbed: &Testbed, queues: &[(&Tenant, QueueId)]) -> anyhow::Result<()> {
    let kind = DoorbellKind::Overdue;
    let doorbells: Vec<_> = queues
        .iter()
        .map(|(tenant, queue_id)| Doorbell::Queue { kind, tenant_id: tenant.id, queue_id: *queue_id })
        .collect();
    let mut transaction = testbed.pool.begin().await?;
    ring_all(&mut transaction, &doorbells, Clock::system().now()).await?;
    transaction.commit().await?;
    Ok(())
}

/// Indexes and foreign keys of `contacts`, dropped for a large fill.
struct DroppedIndexes {
    definitions: Vec<String>,
}

impl DroppedIndexes {
    async fn drop_all(conn: &mut PgConnection) -> anyhow::Result<Self> {
        let (mut definitions, mut drops) = (Vec::new(), Vec::new());
        let indexes: Vec<(String, String)> = sqlx::query_as(
            "select indexname::text, indexdef from pg_indexes where tablename = 'contacts' and indexname <> 'contacts_pkey'",
        )
        .fetch_all(&mut *conn)
        .await?;
        for (name, definition) in indexes {
            drops.push(format!("drop index {name}"));
            definitions.push(definition);
        }
        let keys: Vec<(String, String)> = sqlx::query_as(
            "select conname::text, pg_get_constraintdef(oid) from pg_constraint
             where conrelid = 'contacts'::regclass and contype = 'f'",
        )
        .fetch_all(&mut *conn)
        .await?;
        for (name, definition) in keys {
            drops.push(format!("alter table contacts drop constraint {name}"));
            definitions.push(format!("alter table contacts add constraint {name} {definition}"));
        }
        for drop in drops {
            conn.execute(AssertSqlSafe(drop)).await?;
        }
        Ok(Self { definitions })
    }

    async fn restore(self, conn: &mut PgConnection) -> anyhow::Result<()> {
        conn.execute("set maintenance_work_mem = '1GB'").await?;
        for definition in self.definitions {
            conn.execute(AssertSqlSafe(definition)).await?;
        }
        Ok(())
    }
}
