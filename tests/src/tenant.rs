//! A tenant with a key, numbers and templates, and the batches it posts.

use chrono::{DateTime, Utc};
use regua_boot::{Place, SecretKeys};
use regua_domain::{ApiKeyId, DEFAULT_HOURS, InstanceId, MessageType, TemplateId, TenantId};
use regua_store::api_keys::{self, NewApiKey};
use regua_store::business_hours::{self, OpenHours};
use regua_store::templates::{self, Template};
use regua_store::{instances, tenant_configs, tenants, type_defaults};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::logs;

/// How a test's tenant differs from a sensible one.
#[derive(Clone, Debug)]
pub struct TenantOptions {
    /// Unique in the test.
    pub slug: &'static str,
    /// Mon–Fri 8–18 in São Paulo; otherwise round the clock.
    pub keeps_hours: bool,
    /// Messages a minute of every number.
    pub rate: i32,
    /// Percent.
    pub jitter: i16,
    /// Tries of one contact.
    pub max_attempts: i16,
    /// Numbers; the first is the default.
    pub instances: Vec<String>,
    /// The wordings of the three templates.
    pub variations: Vec<&'static str>,
    /// Messages a day of every number.
    pub daily_cap: Option<i32>,
    /// Types of which an unconfirmed contact is sent once more.
    pub resend_unconfirmed: Vec<MessageType>,
    /// Requests a minute of its keys: by default more than any test makes while it looks for what it expects.
    pub requests_per_minute: i32,
}

impl Default for TenantOptions {
    fn default() -> Self {
        Self {
            slug: "acme",
            keeps_hours: false,
            rate: 60_000,
            jitter: 0,
            max_attempts: 5,
            instances: vec!["matriz".to_owned()],
            variations: vec!["Olá {{primeiro_nome}}, sua fatura espera por você. Ref. {{referencia}}"],
            daily_cap: None,
            resend_unconfirmed: vec![MessageType::Upcoming, MessageType::Notification],
            requests_per_minute: 6_000_000,
        }
    }
}

/// A tenant as it stands in the database.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its short name.
    pub slug: &'static str,
    /// Its API key, whole.
    pub key: String,
    /// Its numbers, in the order of the options.
    pub instances: Vec<InstanceId>,
    /// The token of each number.
    pub tokens: Vec<String>,
}

impl Tenant {
    /// Creates a tenant and all that belongs to it.
    pub async fn create(pool: &PgPool, gateway: &str, options: &TenantOptions, now: DateTime<Utc>) -> Self {
        let mut transaction = pool.begin().await.unwrap();
        let conn = &mut *transaction;
        let id = TenantId::new(now);
        tenants::create(conn, id, options.slug, "Acme Ltda", now).await.unwrap();
        let mut config = tenant_configs::get(conn, id).await.unwrap().unwrap();
        config.keeps_hours = options.keeps_hours;
        config.messages_per_minute = options.rate;
        config.jitter_percent = options.jitter;
        config.max_attempts = options.max_attempts;
        config.daily_cap = options.daily_cap;
        config.resend_unconfirmed.clone_from(&options.resend_unconfirmed);
        config.requests_per_minute = options.requests_per_minute;
        tenant_configs::put(conn, id, &config).await.unwrap();
        let hours: Vec<_> = DEFAULT_HOURS
            .iter()
            .map(|open| OpenHours {
                weekday: open.weekday().into(),
                opens_minute: i16::try_from(open.opens_minute()).unwrap(),
                closes_minute: i16::try_from(open.closes_minute()).unwrap(),
            })
            .collect();
        business_hours::replace(conn, id, &hours).await.unwrap();
        let mut instances = Vec::new();
        let mut tokens = Vec::new();
        for name in &options.instances {
            let instance = InstanceId::new(now);
            let token = format!("token-of-{}-{name}", options.slug);
            let place = Place::instance_token(id, instance);
            let sealed = SecretKeys::development().seal(&place, &token).unwrap();
            logs::keep_secret(&token);
            instances::create(conn, id, instance, name, gateway, &sealed, now).await.unwrap().unwrap();
            instances.push(instance);
            tokens.push(token);
        }
        for message_type in MessageType::ALL {
            let template = Template {
                template_id: TemplateId::new(now),
                name: format!("{message_type}-padrao"),
                message_type,
                variables_schema: None,
                variations: options.variations.iter().map(|&source| source.to_owned()).collect(),
            };
            let template = templates::put(conn, id, &template, now).await.unwrap();
            type_defaults::set_template(conn, id, message_type, template, true).await.unwrap();
            type_defaults::set_instance(conn, id, message_type, instances[0], true).await.unwrap();
        }
        transaction.commit().await.unwrap();
        let key = Self::add_key(pool, id, &["overdue", "upcoming", "notification"], None, now).await;
        Self { id, slug: options.slug, key, instances, tokens }
    }

    /// Adds an API key.
    pub async fn add_key(
        pool: &PgPool,
        tenant: TenantId,
        types: &[&str],
        expires_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> String {
        let mut random = [0; 40];
        for chunk in random.chunks_mut(8) {
            chunk.copy_from_slice(&crate::database::random().to_le_bytes()[..8]);
        }
        let key = regua_api::keys::generate(&random);
        logs::keep_secret(&key.text);
        let new = NewApiKey {
            tenant_id: tenant,
            api_key_id: ApiKeyId::new(now),
            name: "test",
            lookup_prefix: &key.lookup_prefix,
            secret_hash: &key.secret_hash,
            allowed_types: &types.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(),
            allowed_networks: &[],
            expires_at,
            requests_per_minute: None,
        };
        api_keys::create(&mut pool.acquire().await.unwrap(), &new, now).await.unwrap();
        key.text
    }
}

/// A batch of so many good contacts.
pub fn batch(external_id: &str, contacts: usize) -> Value {
    json!({ "external_id": external_id, "contacts": (0..contacts).map(|n| contact(external_id, n)).collect::<Vec<_>>() })
}

/// A good contact whose number no other contact of the test has, as long as batches' names differ in their last letter.
pub fn contact(external_id: &str, n: usize) -> Value {
    json!({
        "external_id": format!("{external_id}-{n}"),
        "name": "Maria da Silva",
        "phone": format!("+{}", number(external_id, n)),
        "due_date": "2026-11-10",
        "amount": "150.00",
    })
}

/// The number of that contact, as the gateway sees it.
pub fn number(external_id: &str, n: usize) -> String {
    let batch = external_id.bytes().last().unwrap_or(0) % 100;
    format!("55119{batch:02}{n:06}")
}
