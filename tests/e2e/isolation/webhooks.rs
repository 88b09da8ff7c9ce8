//! The role that stores webhook events: it inserts, and does nothing else.

use super::*;

/// The statement that stores an event, with these values of `source, tenant_id, instance_id, event`.
fn insert(values: &str) -> String {
    format!(
        "insert into webhook_events (webhook_event_id, data, received_at, next_match_at, source, tenant_id, instance_id, event)
         values (gen_random_uuid(), '{{}}', now(), now(), {values})"
    )
}

fn insert_doorbell(tenant: &str, routing_key: &str) -> String {
    format!(
        "insert into doorbells (tenant_id, doorbell_id, routing_key, priority, body)
         values ('{tenant}', gen_random_uuid(), '{routing_key}', 10, '{{}}')"
    )
}

async fn begin_as(pool: &PgPool, role: &str) -> sqlx::Transaction<'static, sqlx::Postgres> {
    pool.begin_with(AssertSqlSafe(format!("begin; set local role {role}"))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn role_that_stores_webhook_events_can_only_insert_them() {
    let (fleet, [(acme, _), (other, _)]) = two_tenants().await;
    let pool = &fleet.database.pool;
    let denied = Err(DENIED.to_owned());
    let of =
        |tenant: &Tenant| insert(&format!("'evolution', '{}', '{}', 'send.message'", tenant.id, tenant.instances[0]));
    let nil = uuid::Uuid::nil().to_string();
    let without_tenant = insert("'stripe', null, null, 'invoice.paid'");

    let mut transaction = access::begin_webhook(pool, acme.id).await.unwrap();
    assert_eq!(try_statement(&mut transaction, of(&acme)).await, Ok(1));
    assert_eq!(try_statement(&mut transaction, of(&other)).await, denied, "an event of another tenant");
    assert_eq!(try_statement(&mut transaction, without_tenant.clone()).await, denied, "an event of no tenant");
    transaction.execute(AssertSqlSafe(of(&acme))).await.unwrap();
    for statement in [
        "select webhook_event_id from webhook_events".to_owned(),
        "update webhook_events set next_match_at = now()".to_owned(),
        "delete from webhook_events".to_owned(),
        format!("{} returning webhook_event_id", of(&acme)),
        format!("{} on conflict (webhook_event_id) do nothing", of(&acme)),
        "truncate webhook_events".to_owned(),
        "select doorbell_id from doorbells".to_owned(),
        "delete from doorbells".to_owned(),
        "update doorbells set visible_at = now()".to_owned(),
        insert_doorbell(&nil, "billing.overdue"),
        insert_doorbell(&acme.id.to_string(), "billing.webhook_events"),
        "select tenant_id from instances".to_owned(),
        "select tenant_id from tenants".to_owned(),
    ] {
        assert_eq!(try_statement(&mut transaction, statement.clone()).await, denied, "{statement}");
    }
    assert_eq!(try_statement(&mut transaction, insert_doorbell(&nil, "billing.webhook_events")).await, Ok(1));
    transaction.rollback().await.unwrap();

    let mut transaction = begin_as(pool, "regua_webhooks").await;
    assert_eq!(try_statement(&mut transaction, of(&acme)).await, denied, "a tenant that the transaction is not for");
    assert_eq!(try_statement(&mut transaction, without_tenant).await, Ok(1));
    transaction.rollback().await.unwrap();
    fleet.end().await;
}

#[tokio::test]
async fn event_without_tenant_is_visible_to_its_reader_alone() {
    let database = Database::fresh().await;
    let pool = &database.pool;
    pool.execute(AssertSqlSafe(insert("'paddle', null, null, 'transaction.completed'"))).await.unwrap();
    let select = "select event from webhook_events".to_owned();
    for (role, seen) in [("regua_fleet", Ok(1)), ("regua_platform", Ok(0)), ("regua_api", Ok(0))] {
        let mut transaction = begin_as(pool, role).await;
        assert_eq!(try_statement(&mut transaction, select.clone()).await, seen, "{role}");
        transaction.rollback().await.unwrap();
    }
    let tenant = "019a9f3c-0000-7000-8000-000000000000".parse().unwrap();
    let mut transaction = access::begin(pool, tenant).await.unwrap();
    assert_eq!(try_statement(&mut transaction, select).await, Ok(0));
    // regua_api is a member of the role, and inherits nothing from it.
    let inserted = try_statement(&mut transaction, insert("'paddle', null, null, 'transaction.completed'")).await;
    assert_eq!(inserted, Err(DENIED.to_owned()));
}

#[tokio::test]
async fn event_fits_its_source() {
    let database = Database::fresh().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (tenant, instance) = ("gen_random_uuid()", "gen_random_uuid()");
    let violation = Err("23514".to_owned());
    for (values, expected) in [
        ("'stripe', null, null, 'customer.subscription.deleted'".to_owned(), Ok(1)),
        (format!("'paddle', {tenant}, null, 'transaction.completed'"), Ok(1)),
        ("'paypal', null, null, 'invoice.paid'".to_owned(), violation.clone()),
        ("'stripe', null, null, 'Invoice paid!'".to_owned(), violation.clone()),
        (format!("'stripe', {tenant}, {instance}, 'invoice.paid'"), violation.clone()),
        (format!("'evolution', {tenant}, null, 'send.message'"), violation.clone()),
        (format!("'evolution', null, {instance}, 'send.message'"), violation.clone()),
        (format!("'evolution', {tenant}, {instance}, 'invoice.paid'"), violation.clone()),
    ] {
        assert_eq!(try_statement(&mut conn, insert(&values)).await, expected, "{values}");
    }
}
