//! Table `dead_letters`: doorbells that the embedded broker could not read, as RabbitMQ's `billing.dead` holds them.

use regua_domain::TenantId;
use serde_json::Value;
use sqlx::{Error, PgConnection};

/// Stores an unreadable doorbell for an operator. A doorbell that rang again meanwhile is the same dead letter.
pub async fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: uuid::Uuid,
    routing_key: &str,
    body: &Value,
    reason: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into dead_letters (tenant_id, dead_letter_id, routing_key, body, reason) values ($1, $2, $3, $4, $5)
         on conflict do nothing",
        tenant as TenantId,
        id,
        routing_key,
        body,
        reason
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The number of dead letters.
pub async fn count(conn: &mut PgConnection) -> Result<i64, Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from dead_letters"#).fetch_one(conn).await
}
