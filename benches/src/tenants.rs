//! The tenants of the measures: instances, one template for each message type, and an API key.

use anyhow::{Context, ensure};
use regua_boot::Clock;
use regua_domain::{ApiKeyId, InstanceId, MessageType, TemplateId, TenantId, Variations};
use regua_secrets::{Place, SecretKeys};
use regua_store::api_keys::{self, ListedKey};
use regua_store::templates::{self, Template};
use regua_store::{instances, tenant_configs, tenants, type_defaults};
use sqlx::{PgConnection, PgPool};

use crate::gateway::Gateway;

/// About 200 characters when rendered.
const TEMPLATE: &str = "Olá {{primeiro_nome}}, tudo bem? Identificamos que a fatura de {{valor}}, com vencimento em \
    {{vencimento}}, está em aberto há {{dias_atraso}} dias. Se já pagou, desconsidere este aviso. Ref. {{referencia}}";

pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) api_key: String,
    pub(crate) instances: Vec<Instance>,
}

pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) name: String,
}

/// How fast instances send.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// Messages a minute, without jitter.
    pub(crate) per_minute: i32,
    /// Sends under way at once.
    pub(crate) concurrency: i16,
}

impl Pace {
    /// The highest pace of the product.
    pub(crate) const UNTHROTTLED: Self = Self { per_minute: 6_000_000, concurrency: 1 };
}

impl Tenant {
    /// Creates a tenant without business hours, with `count` instances of one pace. `count` is 1 where the gateway has
    /// only one instance.
    pub(crate) async fn create(
        pool: &PgPool,
        gateway: &Gateway,
        slug: &str,
        count: usize,
        pace: Pace,
    ) -> anyhow::Result<Self> {
        let now = Clock::system().now();
        let id = TenantId::new(now);
        let mut transaction = pool.begin().await?;
        let conn = &mut *transaction;
        tenants::create(conn, id, &slug.parse()?, "Acme Ltda", now).await?;
        let mut config = tenant_configs::get(conn, id).await?.context("no configuration")?;
        config.keeps_hours = false;
        config.messages_per_minute = pace.per_minute;
        config.jitter_percent = 0;
        config.requests_per_minute = 6_000_000; // no rate limit
        tenant_configs::put(conn, &config).await?;
        tenants::set_max_requests(conn, id, config.requests_per_minute).await?;
        let mut instances = Vec::with_capacity(count);
        for place in 0..count {
            let instance = InstanceId::new(now);
            let name = gateway.instance.clone().unwrap_or_else(|| format!("{slug}-{place}"));
            let sealed = SecretKeys::development().seal(&Place::instance_token(id, instance), &gateway.token)?;
            let created = instances::create(conn, id, instance, &name.parse()?, &gateway.url, &sealed, now).await?;
            ensure!(created, "an instance of this name exists");
            instances.push(Instance { id: instance, name });
        }
        sqlx::query("update instances set lane_concurrency = $2, state = 'open' where tenant_id = $1")
            .bind(id.0)
            .bind(pace.concurrency)
            .execute(&mut *conn)
            .await?;
        set_templates(conn, id, instances.first().context("no instance")?.id).await?;
        let api_key = create_key(conn, id).await?;
        transaction.commit().await?;
        Ok(Self { id, api_key, instances })
    }
}

async fn set_templates(conn: &mut PgConnection, tenant: TenantId, instance: InstanceId) -> anyhow::Result<()> {
    let now = Clock::system().now();
    for message_type in MessageType::ALL {
        let template = Template {
            template_id: TemplateId::new(now),
            name: format!("{message_type}-padrao"),
            message_type,
            variables_schema: None,
            variations: Variations::parse(vec![TEMPLATE.to_owned()])?,
        };
        let template = templates::put(conn, tenant, &template, now).await?;
        type_defaults::set_missing(conn, tenant, message_type, Some(template), Some(instance)).await?;
    }
    Ok(())
}

async fn create_key(conn: &mut PgConnection, tenant: TenantId) -> anyhow::Result<String> {
    let now = Clock::system().now();
    let key = regua_api::keys::generate(&std::array::from_fn(|_| fastrand::u8(..)));
    let new = ListedKey::new(ApiKeyId::new(now), "bench", &key.lookup_prefix, now);
    api_keys::create(conn, tenant, &new, &key.secret_hash).await?;
    Ok(key.text)
}
