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
