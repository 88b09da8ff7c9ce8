//! Table `dead_letters`: messages that the embedded broker could not read, as RabbitMQ's `billing.dead` holds them.

use regua_domain::TenantId;
use serde_json::Value;
use sqlx::{Error, PgConnection};

/// Keeps an unreadable message for a person. One that was rung again while it was buried is the same dead letter.
///
/// # Errors
/// The database's.
pub async fn bury(
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
        tenant.0,
        id,
        routing_key,
        body,
        reason
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many there are.
///
/// # Errors
/// The database's.
pub async fn count(conn: &mut PgConnection) -> Result<i64, Error> {
    Ok(sqlx::query!(r#"select count(*) as "count!" from dead_letters"#).fetch_one(conn).await?.count)
}
