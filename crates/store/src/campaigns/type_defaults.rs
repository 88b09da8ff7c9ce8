//! Table `type_defaults`: template and instance of the batches that name none.

use regua_domain::{InstanceId, MessageType, TemplateId, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{Error, PgConnection};

/// Sets the defaults that the type does not have yet.
pub async fn set_missing(
    conn: &mut PgConnection,
    tenant: TenantId,
    message_type: MessageType,
    template: Option<TemplateId>,
    instance: Option<InstanceId>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into type_defaults (tenant_id, type, template_id, instance_id) values ($1, $2, $3, $4)
         on conflict (tenant_id, type) do update
             set template_id = coalesce(type_defaults.template_id, excluded.template_id),
                 instance_id = coalesce(type_defaults.instance_id, excluded.instance_id)",
        tenant as TenantId,
        message_type as MessageType,
        template as Option<TemplateId>,
        instance as Option<InstanceId>
    )
    .execute(conn)
    .await?;
    Ok(())
}

// The defaults of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TypeDefault))]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Default {
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub message_type: MessageType,
    /// Null: a batch must name one.
    #[serde(rename = "template_id")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<uuid::Uuid>))]
    pub template: Option<TemplateId>,
    /// Null: a batch must name one.
    #[serde(rename = "instance_id")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<uuid::Uuid>))]
    pub instance: Option<InstanceId>,
}

/// The defaults of every type.
pub async fn list(conn: &mut PgConnection, tenant: TenantId) -> Result<Vec<Default>, Error> {
    let rows = sqlx::query_as!(
        Default,
        r#"select type as "message_type: MessageType", template_id as "template: TemplateId",
                  instance_id as "instance: InstanceId"
           from type_defaults where tenant_id = $1"#,
        tenant as TenantId
    )
    .fetch_all(conn)
    .await?;
    let of = |message_type| rows.iter().copied().find(|row| row.message_type == message_type);
    let none = |message_type| Default { message_type, template: None, instance: None };
    Ok(MessageType::ALL.into_iter().map(|one| of(one).unwrap_or_else(|| none(one))).collect())
}

/// Replaces both defaults of a type. The error is a violated reference where the tenant has no such template or
/// instance.
pub async fn put(conn: &mut PgConnection, tenant: TenantId, default: &Default) -> Result<(), Error> {
    sqlx::query!(
        "insert into type_defaults (tenant_id, type, template_id, instance_id) values ($1, $2, $3, $4)
         on conflict (tenant_id, type) do update
             set template_id = excluded.template_id, instance_id = excluded.instance_id",
        tenant as TenantId,
        default.message_type as MessageType,
        default.template as Option<TemplateId>,
        default.instance as Option<InstanceId>
    )
    .execute(conn)
    .await?;
    Ok(())
}
