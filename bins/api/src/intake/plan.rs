//! What a batch is sent with: template, instance, hours and due time.

use chrono::{DateTime, Utc};
use regua_domain::{ApiKeyId, InstanceId, MessageType, TemplateId, Text, VariablesSchema};
use regua_store::{instances, templates, tenants};
use sqlx::PgConnection;

use super::batch::{Batch, ContactReader};
use super::compose::Composer;
use super::hours::Hours;
use crate::callers::Caller;
use crate::http::{Code, Problem, record_field};

pub(crate) struct Plan {
    pub(crate) api_key_id: ApiKeyId,
    pub(crate) message_type: MessageType,
    pub(crate) template: TemplateId,
    pub(crate) instance: InstanceId,
    pub(crate) per_minute: i32,
    pub(crate) hours: Hours,
    /// When sending may begin: now, or `scheduled_for`.
    pub(crate) due_at: DateTime<Utc>,
}

impl Plan {
    /// Looks up the template and the instance that the batch names, or the defaults of the tenant for the type.
    pub(crate) async fn load(
        conn: &mut PgConnection,
        caller: &Caller,
        api_key_id: ApiKeyId,
        batch: &Batch,
        message_type: MessageType,
        now: DateTime<Utc>,
    ) -> Result<(Self, Composer), Problem> {
        let tenant = caller.tenant_id;
        let template = templates::for_type(conn, tenant, message_type, batch.template.as_deref()).await?;
        let template = template.ok_or_else(|| no_template(batch, message_type))?;
        let instance = instances::for_type(conn, tenant, message_type, batch.instance.as_deref()).await?;
        let instance = instance.ok_or_else(|| no_instance(batch, message_type))?;
        record_field("instance_id", instance);
        let rate = instances::get(conn, tenant, instance).await?.ok_or_else(|| no_instance(batch, message_type))?;
        let hours = Hours::load(conn, tenant, message_type).await?;
        let company = tenants::name(conn, tenant).await?;
        let due_at = batch.scheduled_for.map_or(now, |scheduled_for| scheduled_for.max(now));
        let composer = Composer {
            reader: ContactReader { message_type },
            language: caller.language,
            batch_id: batch.external_id.clone(),
            variations: template.variations,
            schema: template
                .variables_schema
                .as_ref()
                .map(VariablesSchema::parse)
                .transpose()
                .map_err(Problem::internal)?,
            tenant,
            company,
            first_reference: 0,
            today: hours.calendar.today(hours.first_from(due_at).unwrap_or(due_at)),
            now,
        };
        let (template, per_minute) = (template.template_id, rate.messages_per_minute);
        Ok((Self { api_key_id, message_type, template, instance, per_minute, hours, due_at }, composer))
    }
}

fn no_template(batch: &Batch, message_type: MessageType) -> Problem {
    let detail = match &batch.template {
        Some(name) => Text::of("batch-template-unknown").with("name", name).with("type", message_type),
        None => Text::of("batch-template-default-missing").with("type", message_type),
    };
    Problem::with_detail(Code::TemplateNotFound, detail)
}

fn no_instance(batch: &Batch, message_type: MessageType) -> Problem {
    let detail = match &batch.instance {
        Some(name) => Text::of("batch-instance-unknown").with("name", name),
        None => Text::of("batch-instance-default-missing").with("type", message_type),
    };
    Problem::with_detail(Code::InstanceNotFound, detail)
}
