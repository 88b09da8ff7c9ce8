//! Tenants of the measures: numbers, one template a type, and a key.

use anyhow::Context;
use regua_boot::{Clock, Place, SecretKeys};
use regua_domain::{ApiKeyId, InstanceId, MessageType, TemplateId, TenantId};
use regua_store::api_keys::{self, NewApiKey};
use regua_store::templates::{self, Template};
use regua_store::{instances, tenant_configs, tenants, type_defaults};
use sqlx::{PgConnection, PgPool};

use crate::gateway::Gateway;

/// A text of about 200 characters once it is rendered.
const TEMPLATE: &str = "Olá {{primeiro_nome}}, tudo bem? Identificamos que a fatura de {{valor}}, com vencimento em \
    {{vencimento}}, está em aberto há {{dias_atraso}} dias. Se já pagou, desconsidere este aviso. Ref. {{referencia}}";

/// A tenant as it stands in the database.
pub(crate) struct Tenant {
    /// Its id.
    pub(crate) id: TenantId,
    /// Its API key, whole.
    pub(crate) key: String,
    /// Its numbers.
    pub(crate) numbers: Vec<Number>,
}

/// A number.
pub(crate) struct Number {
    /// Its id.
    pub(crate) id: InstanceId,
    /// Its name.
    pub(crate) name: String,
}

/// How fast numbers send.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// Messages a minute, without jitter.
    pub(crate) per_minute: i32,
    /// Sends under way at once.
    pub(crate) concurrency: i16,
}

impl Pace {
    /// As fast as the product lets a number be.
    pub(crate) const UNTHROTTLED: Self = Self { per_minute: 6_000_000, concurrency: 1 };
}

impl Tenant {
    /// Creates a tenant that sends round the clock, with so many numbers of one pace. Where the gateway has one number
    /// only, the tenant has that one.
    pub(crate) async fn create(
        pool: &PgPool,
        gateway: &Gateway,
        slug: &str,
        numbers: usize,
        pace: Pace,
    ) -> anyhow::Result<Self> {
        let now = Clock::system().now();
        let id = TenantId::new(now);
        let mut transaction = pool.begin().await?;
        let conn = &mut *transaction;
        tenants::create(conn, id, slug, "Acme Ltda", now).await?;
        let mut config = tenant_configs::get(conn, id).await?.context("no configuration")?;
        config.keeps_hours = false;
        config.messages_per_minute = pace.per_minute;
        config.jitter_percent = 0;
        config.requests_per_minute = 6_000_000; // what is measured is not the limit
        tenant_configs::put(conn, id, &config).await?;
        let mut made = Vec::with_capacity(numbers);
        for place in 0..numbers {
            let number = InstanceId::new(now);
            let name = gateway.number.clone().unwrap_or_else(|| format!("{slug}-{place}"));
            let sealed = SecretKeys::development().seal(&Place::instance_token(id, number), &gateway.token)?;
            let taken = instances::create(conn, id, number, &name, &gateway.url, &sealed, now).await?;
            taken.context("the name is taken")?;
            made.push(Number { id: number, name });
        }
        sqlx::query("update instances set lane_concurrency = $2, state = 'open' where tenant_id = $1")
            .bind(id.0)
            .bind(pace.concurrency)
            .execute(&mut *conn)
            .await?;
        set_templates(conn, id, made.first().context("no number")?.id).await?;
        let key = create_key(conn, id).await?;
        transaction.commit().await?;
        Ok(Self { id, key, numbers: made })
    }
}

async fn set_templates(conn: &mut PgConnection, tenant: TenantId, number: InstanceId) -> anyhow::Result<()> {
    let now = Clock::system().now();
    for message_type in MessageType::ALL {
        let template = Template {
            template_id: TemplateId::new(now),
            name: format!("{message_type}-padrao"),
            message_type,
            variables_schema: None,
            variations: vec![TEMPLATE.to_owned()],
        };
        let template = templates::put(conn, tenant, &template, now).await?;
        type_defaults::set_template(conn, tenant, message_type, template, true).await?;
        type_defaults::set_instance(conn, tenant, message_type, number, true).await?;
    }
    Ok(())
}

async fn create_key(conn: &mut PgConnection, tenant: TenantId) -> anyhow::Result<String> {
    let now = Clock::system().now();
    let key = regua_api::keys::generate(&std::array::from_fn(|_| fastrand::u8(..)));
    let new = NewApiKey {
        tenant_id: tenant,
        api_key_id: ApiKeyId::new(now),
        name: "bench",
        lookup_prefix: &key.lookup_prefix,
        secret_hash: &key.secret_hash,
        allowed_types: &MessageType::ALL.map(|message_type| message_type.to_string()),
        allowed_networks: &[],
        expires_at: None,
        requests_per_minute: None,
    };
    api_keys::create(conn, &new, now).await?;
    Ok(key.text)
}
