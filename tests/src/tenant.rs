//! Tenants with an API key, instances and templates, and the batches that they post.

use chrono::{DateTime, Utc};
use regua_domain::{ApiKeyId, DEFAULT_HOURS, InstanceId, MessageType, TemplateId, TenantId, Variations};
use regua_secrets::{Place, SecretKeys};
use regua_store::api_keys::{self, ListedKey};
use regua_store::templates::{self, Template};
use regua_store::{business_hours, instances, tenant_configs, tenants, type_defaults};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::logs;

/// How a tenant differs from the default one.
#[derive(Clone, Debug)]
pub struct TenantOptions {
    /// Unique in the test.
    pub slug: &'static str,
    /// Monday to Friday, 8 to 18 in São Paulo; otherwise at every hour.
    pub keeps_hours: bool,
    /// Messages a minute of each instance.
    pub rate: i32,
    /// Percent.
    pub jitter: i16,
    /// Attempts of one contact.
    pub max_attempts: i16,
    /// Names of the instances; the first is the default.
    pub instances: Vec<String>,
    /// The variations of each of the three templates.
    pub variations: Vec<&'static str>,
    /// Messages a day of each instance.
    pub daily_cap: Option<i32>,
    /// Types whose unconfirmed contacts are sent once more.
    pub resend_unconfirmed: Vec<MessageType>,
    /// Requests a minute of each key. The default exceeds the polling of every test.
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

/// A tenant in the database.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The tenant's id.
    pub id: TenantId,
    /// The tenant's slug.
    pub slug: &'static str,
    /// An API key for every message type.
    pub key: String,
    /// The instances in the order of the options.
    pub instances: Vec<InstanceId>,
    /// The token of each instance.
    pub tokens: Vec<String>,
}

impl Tenant {
    /// Creates a tenant with configuration, instances, templates and a key.
    pub async fn create(pool: &PgPool, gateway: &str, options: &TenantOptions, now: DateTime<Utc>) -> Self {
        let mut transaction = pool.begin().await.unwrap();
        let conn = &mut *transaction;
        let id = TenantId::new(now);
        assert!(tenants::create(conn, id, &options.slug.parse().unwrap(), "Acme Ltda", now).await.unwrap());
        let mut config = tenant_configs::get(conn, id).await.unwrap().unwrap();
        config.keeps_hours = options.keeps_hours;
        config.messages_per_minute = options.rate;
        config.jitter_percent = options.jitter;
        config.max_attempts = options.max_attempts;
        config.daily_cap = options.daily_cap;
        config.resend_unconfirmed.clone_from(&options.resend_unconfirmed);
        config.requests_per_minute = options.requests_per_minute;
        tenant_configs::put(conn, &config).await.unwrap();
        tenants::set_max_requests(conn, id, config.requests_per_minute.max(6000)).await.unwrap();
        business_hours::replace(conn, id, &DEFAULT_HOURS).await.unwrap();
        let mut instances = Vec::new();
        let mut tokens = Vec::new();
        for name in &options.instances {
            let instance = InstanceId::new(now);
            let token = format!("token-of-{}-{name}", options.slug);
            let place = Place::instance_token(id, instance);
            let sealed = SecretKeys::development().seal(&place, &token).unwrap();
            logs::register_secret(&token);
            assert!(
                instances::create(conn, id, instance, &name.parse().unwrap(), gateway, &sealed, now).await.unwrap()
            );
            instances.push(instance);
            tokens.push(token);
        }
        for message_type in MessageType::ALL {
            let template = Template {
                template_id: TemplateId::new(now),
                name: format!("{message_type}-padrao"),
                message_type,
                variables_schema: None,
                variations: Variations::parse(options.variations.iter().map(|&source| source.to_owned()).collect())
                    .unwrap(),
            };
            let template = templates::put(conn, id, &template, now).await.unwrap();
            type_defaults::set_missing(conn, id, message_type, Some(template), Some(instances[0])).await.unwrap();
        }
        transaction.commit().await.unwrap();
        let key = Self::add_key(pool, id, &MessageType::ALL, None, now).await;
        Self { id, slug: options.slug, key, instances, tokens }
    }

    /// Adds an API key.
    pub async fn add_key(
        pool: &PgPool,
        tenant: TenantId,
        allowed_types: &[MessageType],
        expires_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> String {
        let mut random = [0; 40];
        for chunk in random.chunks_mut(8) {
            chunk.copy_from_slice(&crate::database::random().to_le_bytes()[..8]);
        }
        let key = regua_api::keys::generate(&random);
        logs::register_secret(&key.text);
        let new = ListedKey {
            allowed_types: allowed_types.to_vec(),
            expires_at,
            ..ListedKey::new(ApiKeyId::new(now), "test", &key.lookup_prefix, now)
        };
        let conn = &mut pool.acquire().await.unwrap();
        api_keys::create(conn, tenant, &new, &key.secret_hash).await.unwrap();
        key.text
    }
}

/// A batch of valid contacts.
pub fn batch(external_id: &str, contacts: usize) -> Value {
    json!({ "external_id": external_id, "contacts": (0..contacts).map(|n| contact(external_id, n)).collect::<Vec<_>>() })
}

/// A valid contact. Its phone number is unique in the test, if the ids of the batches differ in their last letter.
pub fn contact(external_id: &str, n: usize) -> Value {
    json!({
        "external_id": format!("{external_id}-{n}"),
        "name": "Maria da Silva",
        "phone": format!("+{}", number(external_id, n)),
        "due_date": "2026-11-10",
        "amount": "150.00",
    })
}

/// The phone number of that contact in the form of the gateway.
pub fn number(external_id: &str, n: usize) -> String {
    let batch = external_id.bytes().last().unwrap_or(0) % 100;
    format!("55119{batch:02}{n:06}")
}
