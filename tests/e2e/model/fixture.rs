//! The fixture of all cases of one test: a database with a tenant and two instances, emptied between cases.

use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_boot::{Clock, ManualClock, Registry};
use regua_domain::{ApiKeyId, CampaignId, ContactId, InstanceId, MessageType, QueueId, Reference, TemplateId};
use regua_evolution::EvolutionClient;
use regua_periodic::PeriodicMetrics;
use regua_store::instances;
use regua_store::intake::{self, NewCampaign, NewContacts};
use regua_tests::{Database, Tenant, TenantOptions};
use regua_worker::WorkerMetrics;
use serde_json::json;
use serde_json::value::to_raw_value;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use super::plan::Plan;

/// The message types of the two queues: the policy never resends the first, and resends the second once.
pub(super) const TYPES: [MessageType; 2] = [MessageType::Overdue, MessageType::Notification];

#[derive(Clone, Debug)]
pub(super) struct Contact {
    pub(super) id: Uuid,
    pub(super) queue: usize,
    pub(super) reference: String,
    pub(super) phone: String,
}

pub(super) struct Fixture {
    pub(super) pool: PgPool,
    pub(super) tenant: Tenant,
    pub(super) manual_clock: ManualClock,
    pub(super) clock: Clock,
    pub(super) worker_metrics: WorkerMetrics,
    pub(super) periodic_metrics: PeriodicMetrics,
    pub(super) client: EvolutionClient,
    template: TemplateId,
    key: ApiKeyId,
}

pub(super) fn start() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

impl Fixture {
    pub(super) async fn create() -> Self {
        regua_boot::init_tls();
        let database = Database::fresh().await;
        let instances = vec!["matriz".to_owned(), "filial".to_owned()];
        let options = TenantOptions { instances, max_attempts: 3, ..TenantOptions::default() };
        let tenant = Tenant::create(&database.pool, "http://127.0.0.1:1", &options, start()).await;
        // The harness's pool tests every connection twice, which would take most of the time here.
        let pool = PgPoolOptions::new().max_connections(8).test_before_acquire(false);
        let pool = pool.acquire_timeout(Duration::from_secs(20)).connect_lazy(&database.url).unwrap();
        let (manual_clock, clock) = ManualClock::starting_at(start());
        let client = EvolutionClient::new(regua_tests::gateway_settings()).unwrap();
        let template = TemplateId(id_of(&pool, "select template_id from templates limit 1").await);
        let key = ApiKeyId(id_of(&pool, "select api_key_id from api_keys limit 1").await);
        let worker_metrics = WorkerMetrics::new(&Registry::default()).unwrap();
        let periodic_metrics = PeriodicMetrics::new(&Registry::default()).unwrap();
        Self { pool, tenant, manual_clock, clock, worker_metrics, periodic_metrics, client, template, key }
    }

    /// Deletes the previous case and stores the batches of this one. Returns its contacts.
    pub(super) async fn prepare(&self, plan: &Plan) -> Vec<Contact> {
        for statement in [
            "delete from webhook_events",
            "delete from doorbells",
            "delete from campaigns",
            "update lanes set leased_by = null, lease_expires_at = null, next_send_at = null, sent_on = null",
        ] {
            self.run(statement).await;
        }
        self.manual_clock.set(start());
        let mut transaction = self.pool.begin().await.unwrap();
        for instance in &self.tenant.instances {
            let (rate, concurrency) = (Some(60_000), plan.concurrency);
            instances::set_pace(&mut transaction, self.tenant.id, *instance, rate, None, concurrency).await.unwrap();
        }
        let mut contacts = Vec::new();
        for queue in 0..TYPES.len() {
            let new: Vec<_> = (0..plan.contacts[queue]).map(|n| self.contact(queue, n)).collect();
            self.post(&mut transaction, plan, queue, &new).await;
            contacts.extend(new);
        }
        transaction.commit().await.unwrap();
        contacts
    }

    fn contact(&self, queue: usize, n: usize) -> Contact {
        let number = queue * 10 + n + 1;
        Contact {
            id: Uuid::from_u128(number as u128),
            queue,
            reference: Reference::nth(self.tenant.id, number as u64).to_string(),
            phone: format!("+55119{number:08}"),
        }
    }

    async fn post(&self, conn: &mut sqlx::PgConnection, plan: &Plan, queue: usize, contacts: &[Contact]) {
        let each = |of: fn(&Contact) -> String| contacts.iter().map(of).collect::<Vec<_>>();
        let rows = NewContacts {
            ids: contacts.iter().map(|contact| ContactId(contact.id)).collect(),
            positions: (0..i32::try_from(contacts.len()).unwrap()).collect(),
            external_ids: vec![None; contacts.len()],
            names: each(|_| "Maria".to_owned()),
            phones: each(|contact| contact.phone.clone()),
            due_dates: vec![None; contacts.len()],
            amounts: vec![None; contacts.len()],
            variables: each(|_| "{}".to_owned()),
            metadata: each(|_| "{}".to_owned()),
            variations: vec![1; contacts.len()],
            references: each(|contact| contact.reference.clone()),
            texts: each(|contact| format!("Ref. {}", contact.reference)),
        };
        let nothing = json!([]);
        let new = NewCampaign {
            tenant_id: self.tenant.id,
            campaign_id: CampaignId(Uuid::from_u128(queue as u128 + 1)),
            queue_id: queue_id(queue),
            external_id: TYPES[queue].as_str(),
            name: "",
            message_type: TYPES[queue],
            template_id: self.template,
            instance_id: self.lane(plan, queue),
            api_key_id: self.key,
            body_hash: &[0; 32],
            rejected: &nothing,
            warnings: &nothing,
            metadata: &to_raw_value(&json!({})).unwrap(),
            scheduled_for: None,
            contacts: &rows,
            total: i32::try_from(contacts.len()).unwrap(),
            due_at: start(),
            doorbell: None,
        };
        assert!(intake::create(conn, &new, start()).await.unwrap());
    }

    /// The instance of a queue.
    pub(super) fn lane(&self, plan: &Plan, queue: usize) -> InstanceId {
        self.tenant.instances[queue % plan.lanes]
    }

    #[expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]
    pub(super) async fn run(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.pool).await.unwrap();
    }
}

pub(super) const fn queue_id(queue: usize) -> QueueId {
    QueueId(Uuid::from_u128(queue as u128 + 1))
}

#[expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]
async fn id_of(pool: &PgPool, query: &'static str) -> Uuid {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}
