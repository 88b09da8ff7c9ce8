//! What a batch is sent with: template, instance, hours and due time.

use chrono::{DateTime, Utc};
use regua_domain::{ApiKeyId, InstanceId, MessageType, TemplateId, TenantId, Text};
use regua_store::intake::BatchPlan;

use super::batch::Batch;
use super::compose::Composer;
use super::hours::Hours;
use crate::callers::Caller;
use crate::http::{Code, Problem, record_field};

pub(crate) struct Plan {
    pub(crate) tenant_id: TenantId,
    /// The time of the request.
    pub(crate) now: DateTime<Utc>,
    pub(crate) api_key_id: ApiKeyId,
    pub(crate) message_type: MessageType,
    pub(crate) template: TemplateId,
    pub(crate) template_name: String,
    pub(crate) instance: InstanceId,
    pub(crate) per_minute: i32,
    pub(crate) hours: Hours,
    /// When sending may begin: now, or `scheduled_for`.
    pub(crate) due_at: DateTime<Utc>,
}

impl Plan {
    /// Fails when the tenant lacks the template or the instance that the batch names, or the default for its type.
    pub(crate) fn new(
        found: BatchPlan,
        caller: &Caller,
        api_key_id: ApiKeyId,
        batch: &Batch,
        message_type: MessageType,
        now: DateTime<Utc>,
    ) -> Result<(Self, Composer), Problem> {
        let template = found.template.ok_or_else(|| no_template(batch, message_type))?;
        let (instance, per_minute) = found.instance.ok_or_else(|| no_instance(batch, message_type))?;
        record_field("instance_id", instance);
        let hours = Hours { calendar: found.calendar, message_type };
        let due_at = batch.scheduled_for.map_or(now, |scheduled_for| scheduled_for.max(now));
        let composer = Composer {
            message_type,
            language: caller.language,
            batch_id: batch.external_id.clone(),
            variations: template.variations,
            schema: template.variables_schema,
            cpu_time: caller.context.settings.limits.composing_time,
            tenant: caller.tenant_id,
            company: found.company,
            // A dry run reserves none.
            first_reference: u64::try_from(found.first_reference.unwrap_or(0)).map_err(Problem::internal)?,
            today: hours.calendar.today(hours.first_from(due_at).unwrap_or(due_at)),
            now,
        };
        let (tenant_id, template, template_name) = (caller.tenant_id, template.template_id, template.name);
        let plan = Self {
            tenant_id,
            now,
            api_key_id,
            message_type,
            template,
            template_name,
            instance,
            per_minute,
            hours,
            due_at,
        };
        Ok((plan, composer))
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
