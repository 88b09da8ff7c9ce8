//! The answers to a posted batch.

use chrono::{DateTime, Utc};
use regua_domain::{CampaignId, MessageType, QueueId, QueueStatus};
use regua_store::intake::AcceptedBatch;
use serde::Serialize;
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::context::Context;
use crate::http::Problem;
use crate::http::paths::BILLING;
use crate::intake::compose::{Composed, ContactIssue};
use crate::intake::plan::Plan;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SendAccepted {
    campaign_id: Uuid,
    queue_id: Uuid,
    #[schema(schema_with = MessageType::schema)]
    r#type: MessageType,
    /// The state of the queue: `scheduled` or `pending`; when replayed, the present state.
    #[schema(schema_with = QueueStatus::schema)]
    status: QueueStatus,
    pub(super) accepted: i32,
    /// Rejected contacts, one entry each.
    #[schema(value_type = Vec<ContactIssue>)]
    pub(super) rejected: Value,
    /// Warnings about accepted contacts, such as `landline`.
    #[schema(value_type = Vec<ContactIssue>)]
    pub(super) warnings: Value,
    /// Address of the queue's status.
    status_url: String,
    /// Whether the batch was accepted before. A replayed batch is not sent again.
    replayed: bool,
}

impl SendAccepted {
    pub(super) fn new(
        context: &Context,
        campaign: CampaignId,
        queue: QueueId,
        plan: &Plan,
        composed: &Composed,
    ) -> Result<Self, Problem> {
        let status = if plan.due_at > plan.now { QueueStatus::Scheduled } else { QueueStatus::Pending };
        Ok(Self {
            campaign_id: campaign.0,
            queue_id: queue.0,
            r#type: plan.message_type,
            status,
            accepted: composed.accepted,
            rejected: serde_json::to_value(&composed.rejected).map_err(Problem::internal)?,
            warnings: serde_json::to_value(&composed.warnings).map_err(Problem::internal)?,
            status_url: status_url(context, queue),
            replayed: false,
        })
    }

    pub(super) fn replayed(context: &Context, accepted: AcceptedBatch) -> Self {
        Self {
            campaign_id: accepted.campaign_id.0,
            queue_id: accepted.queue_id.0,
            r#type: accepted.message_type,
            status: accepted.queue_status,
            accepted: accepted.total,
            rejected: accepted.rejected,
            warnings: accepted.warnings,
            status_url: status_url(context, accepted.queue_id),
            replayed: true,
        }
    }
}

/// The messages that a batch would send. A dry run stores nothing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DryRun {
    /// Always true.
    dry_run: bool,
    #[schema(schema_with = MessageType::schema)]
    r#type: MessageType,
    /// Messages that would be sent, in the order of the batch.
    contacts: Vec<Preview>,
    /// Contacts that would be rejected, one entry each.
    rejected: Vec<ContactIssue>,
    /// Warnings about contacts that would be accepted.
    warnings: Vec<ContactIssue>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Preview {
    /// Position in the posted list, from 0.
    index: i32,
    external_id: Option<String>,
    /// In E.164.
    phone: String,
    /// The text of the message. When the batch is sent, the text has a different reference.
    text: String,
    /// Number of the template's variation, from 1.
    variation: i16,
    /// Estimate: one message after the other at the instance's rate, within business hours. It ignores the instance's
    /// other queues, its daily cap and the jitter. Null when no business hours open within a year.
    would_send_at: Option<DateTime<Utc>>,
}

impl DryRun {
    pub(super) fn new(composed: Composed, plan: &Plan) -> Self {
        let Composed { contacts: rows, rejected, warnings, .. } = composed;
        let instants = plan.hours.would_send_at(plan.due_at, plan.per_minute, rows.ids.len());
        let contacts = rows.positions.into_iter().zip(rows.external_ids).zip(rows.phones);
        let messages = rows.texts.into_iter().zip(rows.variations).zip(instants);
        let preview = |(((index, external_id), phone), ((text, variation), would_send_at))| Preview {
            index,
            external_id,
            phone,
            text,
            variation,
            would_send_at,
        };
        let contacts = contacts.zip(messages).map(preview).collect();
        Self { dry_run: true, r#type: plan.message_type, contacts, rejected, warnings }
    }
}

/// The answer when nothing is stored.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "OpenAPI schema only")]
pub(super) enum StoredNothing {
    /// `replayed` is true.
    Replayed(SendAccepted),
    /// A dry run.
    DryRun(DryRun),
}

fn status_url(context: &Context, queue: QueueId) -> String {
    let base = context.settings.public_url.as_deref().unwrap_or_default();
    format!("{base}{BILLING}/queue/{queue}/status")
}
