//! The tenant of `regua dev` and `regua demo`.

use chrono_tz::Tz;
use regua_api::NewTenant;
use regua_boot::Clock;
use regua_domain::{InstanceId, MessageType, TenantId};
use regua_secrets::{Place, SecretKeys};
use regua_store::{instances, templates, tenants, type_defaults};
use sqlx::{PgConnection, PgPool};

use crate::files::template_file;

const SLUG: &str = "demo";
/// Its only instance, at the sandbox.
pub(crate) const INSTANCE: &str = "matriz";
/// The instance's token. It is no secret, because the sandbox listens on this machine only.
pub(crate) const TOKEN: &str = "sandbox-matriz";
/// The template of overdue messages.
pub(crate) const OVERDUE_TEMPLATE: &str = "cobranca-padrao";
/// Messages a minute: enough for a demonstration without waiting.
const RATE: i32 = 1200;

const TEMPLATES: [&str; 3] = [
    include_str!("../../../../examples/cobranca-padrao.json"),
    include_str!("../../../../examples/lembrete-padrao.json"),
    include_str!("../../../../examples/aviso-padrao.json"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Messages a minute.
    pub(crate) rate: i32,
    /// Requests to the gateway at the same time.
    pub(crate) concurrency: i16,
}

impl Pace {
    /// The pace that sends this number of contacts in about half a minute, if the machine is fast enough.
    pub(crate) fn for_contacts(contacts: usize) -> Self {
        let rate = i32::try_from(contacts.saturating_mul(2)).unwrap_or(i32::MAX).clamp(RATE, 60_000);
        let concurrency = i16::try_from(rate / RATE).unwrap_or(i16::MAX).clamp(1, 64);
        Self { rate, concurrency }
    }
}

/// Creates the tenant, its instance at `gateway` and its templates, or updates them. The tenant sends at every hour.
pub(crate) async fn ensure(pool: &PgPool, secrets: &SecretKeys, gateway: &str, pace: Pace) -> anyhow::Result<TenantId> {
    let mut transaction = pool.begin().await?;
    let conn = &mut *transaction;
    let tenant = ensure_tenant(conn, pace.rate).await?;
    let instance = ensure_instance(conn, secrets, tenant, gateway).await?;
    instances::set_pace(conn, tenant, instance, None, None, pace.concurrency).await?;
    for message_type in MessageType::ALL {
        type_defaults::set_missing(conn, tenant, message_type, None, Some(instance)).await?;
    }
    let present = templates::list(conn, tenant, None).await?;
    for source in TEMPLATES {
        let template = template_file::parse(source)?;
        // A present template may have been edited, and is kept.
        if !present.iter().any(|one| one.name == template.name && one.message_type == template.message_type) {
            let id = templates::put(conn, tenant, &template, Clock::system().now()).await?;
            type_defaults::set_missing(conn, tenant, template.message_type, Some(id), None).await?;
        }
    }
    transaction.commit().await?;
    Ok(tenant)
}

async fn ensure_tenant(conn: &mut PgConnection, rate: i32) -> anyhow::Result<TenantId> {
    let slug = SLUG.parse()?;
    let new = NewTenant {
        slug: &slug,
        name: "Empresa Demonstração",
        time_zone: Tz::America__Sao_Paulo,
        messages_per_minute: rate,
        keeps_hours: false,
    };
    if let Some(tenant) = tenants::find_by_slug(conn, SLUG).await? {
        new.configure(conn, tenant).await?;
        return Ok(tenant);
    }
    let now = Clock::system().now();
    let tenant = TenantId::new(now);
    new.create(conn, tenant, now).await?;
    Ok(tenant)
}

/// The instance of an earlier run has the address of a sandbox that has stopped, and gets the new address.
async fn ensure_instance(
    conn: &mut PgConnection,
    secrets: &SecretKeys,
    tenant: TenantId,
    gateway: &str,
) -> anyhow::Result<InstanceId> {
    let now = Clock::system().now();
    let sealed = |instance| secrets.seal(&Place::instance_token(tenant, instance), TOKEN);
    let present = instances::list(conn, tenant).await?.into_iter().find(|one| one.name.as_str() == INSTANCE);
    if let Some(instance) = present.map(|one| one.instance_id) {
        instances::set_address(conn, tenant, instance, gateway, &sealed(instance)?, true, now).await?;
        return Ok(instance);
    }
    let instance = InstanceId::new(now);
    instances::create(conn, tenant, instance, &INSTANCE.parse()?, gateway, &sealed(instance)?, now).await?;
    Ok(instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_valid_and_cover_every_message_type() {
        let types: Vec<_> = TEMPLATES.iter().map(|source| template_file::parse(source).unwrap().message_type).collect();
        assert_eq!(types, MessageType::ALL);
        assert_eq!(template_file::parse(TEMPLATES[0]).unwrap().name, OVERDUE_TEMPLATE);
    }

    #[test]
    fn pace_grows_with_the_number_of_contacts() {
        assert_eq!(Pace::for_contacts(500), Pace { rate: 1200, concurrency: 1 });
        assert_eq!(Pace::for_contacts(6_000), Pace { rate: 12_000, concurrency: 10 });
        assert_eq!(Pace::for_contacts(usize::MAX), Pace { rate: 60_000, concurrency: 50 });
    }
}
