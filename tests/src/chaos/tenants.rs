//! Creates the tenants of a run in the database, and subscribes the webhooks.

use chrono::{Datelike, TimeDelta};
use regua_boot::Clock;
use regua_domain::OpenInterval;
use regua_store::{business_hours, instances};
use sqlx::PgPool;

use super::deployment::Deployment;
use super::gateway::Webhook;
use super::instances::{CLOSED, SLUGS, WITH_WEBHOOKS, instance_name, instances_of};
use crate::{Tenant, TenantOptions};

/// Few, so that contacts reach their last attempt within the run.
const MAX_ATTEMPTS: i16 = 3;

pub(crate) async fn create(deployment: &Deployment, rate: i32) -> Vec<Tenant> {
    let now = Clock::system().now();
    let mut tenants = Vec::new();
    for (tenant, slug) in SLUGS.into_iter().enumerate() {
        let options = TenantOptions {
            slug,
            keeps_hours: tenant == CLOSED,
            rate,
            max_attempts: MAX_ATTEMPTS,
            instances: instances_of(tenant).map(instance_name).collect(),
            ..TenantOptions::default()
        };
        tenants.push(Tenant::create(&deployment.pool, &deployment.gateway_of(tenant), &options, now).await);
    }
    close(&deployment.pool, &tenants[CLOSED]).await;
    subscribe(deployment, &tenants[WITH_WEBHOOKS]).await;
    tenants
}

/// The webhooks of the instances go to both APIs in turn.
async fn subscribe(deployment: &Deployment, tenant: &Tenant) {
    let (secret, hash) = regua_api::keys::secret_with_hash(&[7; 32]);
    crate::logs::register_secret(&secret);
    for (n, (instance, token)) in tenant.instances.iter().zip(&tenant.tokens).enumerate() {
        let mut conn = deployment.pool.acquire().await.unwrap();
        instances::set_webhook_secret(&mut conn, tenant.id, *instance, &hash).await.unwrap();
        let url = format!("{}/webhooks/evolution/{}/{instance}", deployment.apis[n % deployment.apis.len()], tenant.id);
        let name = instance_name(instances_of(WITH_WEBHOOKS).nth(n).expect("the tenant's instances"));
        deployment.gateway.subscribe(Webhook { instance: name, token: token.clone(), url, secret: secret.clone() });
    }
}

/// Opens the tenant for one hour three days from now, so that it is closed now in every time zone.
async fn close(pool: &PgPool, tenant: &Tenant) {
    let day = (Clock::system().now() + TimeDelta::days(3)).weekday().number_from_monday();
    let hours = OpenInterval::new(u8::try_from(day).unwrap(), 600, 660).unwrap();
    business_hours::replace(&mut pool.acquire().await.unwrap(), tenant.id, &[hours]).await.unwrap();
}
