//! Table `type_defaults`: the template and the instance of a batch that names none.

use regua_domain::{InstanceId, MessageType, TemplateId, TenantId};
use sqlx::{Error, PgConnection};

/// Makes a template the default of its type; where `only_if_none`, an existing default stays.
///
/// # Errors
/// The database's.
pub async fn set_template(
    conn: &mut PgConnection,
    tenant: TenantId,
    message_type: MessageType,
    template: TemplateId,
    only_if_none: bool,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into type_defaults (tenant_id, type, template_id) values ($1, $2, $3)
         on conflict (tenant_id, type) do update
             set template_id = case when $4 then coalesce(type_defaults.template_id, excluded.template_id)
                                    else excluded.template_id end",
        tenant.0,
        message_type.as_str(),
        template.0,
        only_if_none
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes an instance the default of a type; where `only_if_none`, an existing default stays.
///
/// # Errors
/// The database's.
pub async fn set_instance(
    conn: &mut PgConnection,
    tenant: TenantId,
    message_type: MessageType,
    instance: InstanceId,
    only_if_none: bool,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into type_defaults (tenant_id, type, instance_id) values ($1, $2, $3)
         on conflict (tenant_id, type) do update
             set instance_id = case when $4 then coalesce(type_defaults.instance_id, excluded.instance_id)
                                    else excluded.instance_id end",
        tenant.0,
        message_type.as_str(),
        instance.0,
        only_if_none
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a type's batches are sent with that name nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Default {
    /// The type.
    pub message_type: MessageType,
    /// The template, where there is one.
    pub template: Option<TemplateId>,
    /// The number, where there is one.
    pub instance: Option<InstanceId>,
}

/// The defaults of every type.
///
/// # Errors
/// The database's.
pub async fn list(conn: &mut PgConnection, tenant: TenantId) -> Result<Vec<Default>, Error> {
    let rows = sqlx::query!("select type, template_id, instance_id from type_defaults where tenant_id = $1", tenant.0);
    let rows = rows.fetch_all(conn).await?;
    let of = |message_type: MessageType| {
        let row = rows.iter().find(|row| row.r#type == message_type.as_str());
        let template = row.and_then(|row| row.template_id).map(TemplateId);
        let instance = row.and_then(|row| row.instance_id).map(InstanceId);
        Default { message_type, template, instance }
    };
    Ok(MessageType::ALL.into_iter().map(of).collect())
}

/// Replaces both defaults of a type.
///
/// # Errors
/// The database's, among them a reference to what the tenant has not.
pub async fn put(conn: &mut PgConnection, tenant: TenantId, default: &Default) -> Result<(), Error> {
    sqlx::query!(
        "insert into type_defaults (tenant_id, type, template_id, instance_id) values ($1, $2, $3, $4)
         on conflict (tenant_id, type) do update
             set template_id = excluded.template_id, instance_id = excluded.instance_id",
        tenant.0,
        default.message_type.as_str(),
        default.template.map(|id| id.0),
        default.instance.map(|id| id.0)
    )
    .execute(conn)
    .await?;
    Ok(())
}
