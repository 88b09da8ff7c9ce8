//! What a sender is answered.

use axum::Json;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use regua_domain::{CampaignId, MessageType, QueueId, QueueStatus};
use regua_store::campaigns::Taken;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Plan;
use crate::Context;
use crate::compose::{Composed, Remark};
use crate::error::{ACCEPTED, Problem};
use crate::routes::BASE;
use crate::routes::queue::{message_type_schema, queue_status_schema};

/// What became of a posted batch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SendAccepted {
    campaign_id: Uuid,
    queue_id: Uuid,
    #[schema(schema_with = message_type_schema)]
    r#type: &'static str,
    /// The queue's state: `scheduled` or `pending` at first, and whatever it is by now when replayed.
    #[schema(schema_with = queue_status_schema)]
    status: String,
    /// Contacts that were taken.
    pub(super) accepted: i32,
    /// Contacts that were not, one entry each.
    #[schema(value_type = Vec<Remark>)]
    pub(super) rejected: Value,
    /// Remarks on contacts that were taken, such as `landline`.
    #[schema(value_type = Vec<Remark>)]
    pub(super) warnings: Value,
    /// Where its progress can be asked for.
    status_url: String,
    /// Whether this very batch was taken before; nothing is sent twice.
    replayed: bool,
}

impl SendAccepted {
    pub(super) fn new(
        context: &Context,
        campaign: CampaignId,
        queue: QueueId,
        plan: &Plan,
        composed: &Composed,
        now: DateTime<Utc>,
    ) -> Result<Self, Problem> {
        let status = if plan.due_at > now { QueueStatus::Scheduled } else { QueueStatus::Pending };
        Ok(Self {
            campaign_id: campaign.0,
            queue_id: queue.0,
            r#type: plan.message_type.as_str(),
            status: status.to_string(),
            accepted: i32::try_from(composed.contacts.ids.len()).map_err(Problem::internal)?,
            rejected: serde_json::to_value(&composed.rejected).map_err(Problem::internal)?,
            warnings: serde_json::to_value(&composed.warnings).map_err(Problem::internal)?,
            status_url: status_url(context, queue),
            replayed: false,
        })
    }

    pub(super) fn replayed(context: &Context, taken: Taken) -> Self {
        Self {
            campaign_id: taken.campaign_id.0,
            queue_id: taken.queue_id.0,
            r#type: taken.message_type.as_str(),
            status: taken.queue_status,
            accepted: taken.total,
            rejected: taken.rejected,
            warnings: taken.warnings,
            status_url: status_url(context, taken.queue_id),
            replayed: true,
        }
    }
}

impl From<SendAccepted> for Response {
    fn from(accepted: SendAccepted) -> Self {
        if accepted.replayed { Json(accepted).into_response() } else { (ACCEPTED, Json(accepted)).into_response() }
    }
}

/// What a batch would send. Nothing was stored.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DryRun {
    /// Always true.
    dry_run: bool,
    #[schema(schema_with = message_type_schema)]
    r#type: &'static str,
    /// Messages that would be sent, in the order of the batch.
    contacts: Vec<Preview>,
    /// Contacts that would not be taken, one entry each.
    rejected: Vec<Remark>,
    /// Remarks on contacts that would be taken.
    warnings: Vec<Remark>,
}

/// One message that would be sent.
#[derive(Debug, Serialize, ToSchema)]
struct Preview {
    /// Place in the posted list, from 0.
    index: i32,
    external_id: Option<String>,
    /// In E.164.
    phone: String,
    /// The message. The reference in it will be another one.
    text: String,
    /// Which of the template's wordings, from 1.
    variation: i16,
    /// About when: one after the other at the number's rate, within business hours. What else the number has to send, its
    /// daily cap and jitter are not reckoned with. Null where it does not open within a year.
    would_send_at: Option<DateTime<Utc>>,
}

impl DryRun {
    pub(super) fn of(message_type: MessageType, composed: Composed, plan: &Plan) -> Self {
        let Composed { contacts: rows, rejected, warnings, .. } = composed;
        let instants = plan.hours.would_send_at(plan.due_at, plan.per_minute, rows.ids.len());
        let who = rows.positions.into_iter().zip(rows.external_ids).zip(rows.phones);
        let what = rows.texts.into_iter().zip(rows.variations).zip(instants);
        let preview = |(((index, external_id), phone), ((text, variation), would_send_at))| Preview {
            index,
            external_id,
            phone,
            text,
            variation,
            would_send_at,
        };
        let contacts = who.zip(what).map(preview).collect();
        Self { dry_run: true, r#type: message_type.as_str(), contacts, rejected, warnings }
    }
}

impl From<DryRun> for Response {
    fn from(dry_run: DryRun) -> Self {
        Json(dry_run).into_response()
    }
}

/// What is answered where nothing new was taken.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes the answer")]
pub(super) enum Answered {
    /// `replayed` is true.
    Replayed(SendAccepted),
    /// It was a dry run.
    DryRun(DryRun),
}

fn status_url(context: &Context, queue: QueueId) -> String {
    let base = context.settings.public_url.as_deref().unwrap_or_default();
    format!("{base}{BASE}/queue/{queue}/status")
}
