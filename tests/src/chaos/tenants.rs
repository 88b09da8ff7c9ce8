//! The tenants of a run and their numbers: three that send round the clock, and one whose hours are closed now.

use chrono::{Datelike, TimeDelta};
use regua_boot::Clock;
use regua_store::business_hours::{self, OpenHours};
use regua_store::instances;
use sqlx::PgPool;

use super::gateway::Webhook;
use super::stage::Stage;
use crate::{Tenant, TenantOptions};

/// How many.
pub(crate) const TENANTS: usize = 4;

/// The last one keeps hours, and they are closed now.
const CLOSED: usize = TENANTS - 1;

/// This one's gateway tells by webhook what left; of the others it must be asked.
const TOLD: usize = 0;

/// Numbers of each.
const NUMBERS_EACH: [usize; TENANTS] = [7, 7, 7, 3];

pub(crate) const SLUGS: [&str; TENANTS] = ["norte", "sul", "leste", CLOSED_SLUG];

/// The slug of the one that is closed.
pub(crate) const CLOSED_SLUG: &str = "fechado";

/// All numbers of all tenants.
pub(crate) const NUMBERS: usize = 24;

/// Tries of one contact: so few that the last comes soon.
const MAX_ATTEMPTS: i16 = 3;

/// A number's name at the gateway; no other tenant has it.
pub(crate) fn name_of(number: usize) -> String {
    format!("numero-{number:02}")
}

/// Whose number it is.
pub(crate) fn tenant_of(number: usize) -> usize {
    let mut first_of_next = 0;
    NUMBERS_EACH
        .iter()
        .position(|count| {
            first_of_next += count;
            number < first_of_next
        })
        .expect("a number of a tenant")
}

/// The numbers of a tenant.
pub(crate) fn numbers_of(tenant: usize) -> impl Iterator<Item = usize> {
    (0..NUMBERS).filter(move |number| tenant_of(*number) == tenant)
}

/// Makes the tenants in the database.
pub(crate) async fn create(stage: &Stage, rate: i32) -> Vec<Tenant> {
    let now = Clock::system().now();
    let mut tenants = Vec::new();
    for (tenant, slug) in SLUGS.into_iter().enumerate() {
        let options = TenantOptions {
            slug,
            keeps_hours: tenant == CLOSED,
            rate,
            max_attempts: MAX_ATTEMPTS,
            instances: numbers_of(tenant).map(name_of).collect(),
            ..TenantOptions::default()
        };
        tenants.push(Tenant::create(&stage.pool, &stage.gateway_of(tenant), &options, now).await);
    }
    close(&stage.pool, &tenants[CLOSED]).await;
    subscribe(stage, &tenants[TOLD]).await;
    tenants
}

/// Each number's events go to one of the APIs.
async fn subscribe(stage: &Stage, tenant: &Tenant) {
    let (secret, hash) = regua_api::keys::webhook_secret(&[7; 32]);
    crate::logs::keep_secret(&secret);
    for (n, (instance, token)) in tenant.instances.iter().zip(&tenant.tokens).enumerate() {
        let mut conn = stage.pool.acquire().await.unwrap();
        instances::set_webhook_secret(&mut conn, tenant.id, *instance, &hash).await.unwrap();
        let url = format!("{}/webhooks/evolution/{}/{instance}", stage.apis[n % stage.apis.len()], tenant.id);
        let name = name_of(numbers_of(TOLD).nth(n).expect("as many numbers"));
        stage.controls.subscribe(Webhook { instance: name, token: token.clone(), url, secret: secret.clone() });
    }
}

/// Open for an hour on a day that is neither today nor near, whatever the zone.
async fn close(pool: &PgPool, tenant: &Tenant) {
    let day = (Clock::system().now() + TimeDelta::days(3)).weekday().number_from_monday();
    let hours = OpenHours { weekday: i16::try_from(day).unwrap(), opens_minute: 600, closes_minute: 660 };
    business_hours::replace(&mut pool.acquire().await.unwrap(), tenant.id, &[hours]).await.unwrap();
}
