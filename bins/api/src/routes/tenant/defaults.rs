//! The default template and instance of each message type, for batches that name none.

use regua_domain::{InstanceId, MessageType, TemplateId};
use regua_store::type_defaults::{self, Default};
use regua_store::{instances, templates};

use crate::routes::kit::*;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list_defaults)).routes(routes!(replace_default))
}

items! { TypeDefaults of Default }

body! {
    /// The defaults of a message type. An absent field means no default.
    struct DefaultRequest {
        /// A template of this type.
        template_id: Option<Uuid>,
        instance_id: Option<Uuid>,
    }
}

/// The defaults of all types.
#[utoipa::path(get, path = "/defaults", responses((status = 200, description = "The defaults", body = TypeDefaults)))]
async fn list_defaults(access: Access<Read>) -> Answer<TypeDefaults> {
    let items = access.read(async |conn| type_defaults::list(conn, access.tenant_id).await).await?;
    Ok(Json(TypeDefaults { items }))
}

/// Replaces the defaults of a message type. An absent field means no default. Accepted batches do not change.
#[utoipa::path(
    put, path = "/defaults/{type}", request_body = DefaultRequest,
    params(("type" = String, Path, description = "overdue, upcoming or notification")),
    responses((status = 200, description = "The changed defaults", body = Default))
)]
async fn replace_default(
    access: Access<Operate>,
    InPath(message_type): InPath<MessageType>,
    mut body: Draft<DefaultRequest>,
) -> Answer<Default> {
    let work = async |conn: &mut PgConnection, _| {
        refuse_unknown(conn, &access, &mut body, message_type).await?;
        let DefaultRequest { template_id, instance_id } = body.finish()?;
        let after =
            Default { message_type, template: template_id.map(TemplateId), instance: instance_id.map(InstanceId) };
        let before = type_defaults::list(conn, access.tenant_id).await?;
        let before = before.into_iter().find(|before| before.message_type == message_type);
        type_defaults::put(conn, access.tenant_id, &after).await?;
        Ok((before, after))
    };
    access.change("default.updated", message_type, work).await.map(Json)
}

/// Refuses an unknown instance, an unknown template, and a template of another type.
async fn refuse_unknown(
    conn: &mut PgConnection,
    access: &Principal,
    body: &mut Draft<DefaultRequest>,
    message_type: MessageType,
) -> Result<(), Problem> {
    if let Some(id) = body.template_id.flatten().map(TemplateId) {
        let found = templates::list(conn, access.tenant_id, Some(id)).await?;
        if !found.iter().any(|template| template.message_type == message_type) {
            let text = Text::of("default-template-unknown").with("type", message_type);
            body.refuse("template_id", "template_not_found", &text);
        }
    }
    if let Some(id) = body.instance_id.flatten().map(InstanceId)
        && instances::get(conn, access.tenant_id, id).await?.is_none()
    {
        body.refuse("instance_id", "instance_not_found", &Text::of("default-instance-unknown"));
    }
    Ok(())
}
