//! Export and erasure of one debtor's data (LGPD, articles 18 and 16; docs/privacy.md). The audit entry identifies the
//! debtor by a keyed hash only.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use regua_domain::{Capability, ContactId, PhoneNumber, TenantId, Text};
use regua_secrets::DebtorKeys;
use regua_store::debtors::{self, Debtor};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::callers::{Access, Change};
use crate::context::Context;
use crate::http::error::UserChangeProblems;
use crate::http::schema::words;
use crate::http::{Code, Form, JsonBody, Problem};
use crate::intake::batch::MAX_ID_LENGTH;
use crate::routes::choice::choose;

/// Why data is erased. A free text could put the debtor's name into the audit log.
pub const ERASURE_REASONS: [&str; 4] = ["requested", "consent_withdrawn", "purpose_ended", "authority"];

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(export)).routes(routes!(erase))
}

/// The debtor, by phone number or by the ERP's id.
#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
struct ExportRequest {
    /// In any usual form, with or without country code and ninth digit.
    #[schema(example = "(11) 98888-7777", min_length = 1, max_length = 40)]
    phone: Option<String>,
    /// The `external_id` of the debtor's contacts. Give either this or `phone`.
    #[schema(min_length = 1, max_length = 200)]
    external_id: Option<String>,
    /// `next_cursor` of the previous answer.
    cursor: Option<uuid::Uuid>,
}

/// The debtor, and the reason of the erasure.
#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
struct EraseRequest {
    /// In any usual form, with or without country code and ninth digit.
    #[schema(example = "(11) 98888-7777", min_length = 1, max_length = 40)]
    phone: Option<String>,
    /// The `external_id` of the debtor's contacts. Give either this or `phone`.
    #[schema(min_length = 1, max_length = 200)]
    external_id: Option<String>,
    /// `next_cursor` of the previous answer.
    cursor: Option<uuid::Uuid>,
    /// For the audit log. Default: `requested`.
    #[schema(schema_with = reason_schema)]
    reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct DebtorExport {
    /// The debtor's contacts, each with all columns, its batch (`campaign`), its attempts (`history`) and their
    /// evidence (`evidence`). An erased contact has no personal data.
    #[schema(value_type = Vec<Object>)]
    contacts: Vec<Value>,
    /// Rejections and warnings of batches about the debtor's contacts.
    #[schema(value_type = Vec<Object>)]
    remarks: Vec<Value>,
    /// Webhooks of the gateway about the debtor that are not matched to a contact yet.
    #[schema(value_type = Vec<Object>)]
    webhooks: Vec<Value>,
    /// Cursor for the remaining contacts; null when the search is complete.
    next_cursor: Option<uuid::Uuid>,
}

#[derive(Serialize, ToSchema)]
struct DebtorErasure {
    erased: u64,
    /// Of the erased contacts, those that were unsent. They are never sent.
    cancelled: u64,
    /// Contacts that are being sent: each is erased within seconds of its outcome, and not retried.
    being_sent: u64,
    /// Contacts that an earlier request erased.
    erased_before: u64,
    /// Cursor for the remaining contacts, which may still be sent; null when the search is complete.
    next_cursor: Option<uuid::Uuid>,
}

struct DebtorRequest {
    debtor: Debtor,
    /// `phone` or `external_id`.
    found_by: &'static str,
    after: Option<ContactId>,
    reason: Option<&'static str>,
}

/// Exports the data that is stored about a debtor.
///
/// A search by phone number reads 100,000 contacts per request; follow `next_cursor` to the end.
#[utoipa::path(
    post, path = "/debtors/export", operation_id = "export_debtor", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = ExportRequest,
    responses((status = 200, description = "The data", body = DebtorExport), UserChangeProblems)
)]
async fn export(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Json<DebtorExport>, Problem> {
    access.require(Capability::Administer)?;
    let keys = DebtorKeys::of(&context.secrets);
    let request = read(&body, &access, &keys, false)?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let page = debtors::find(conn, access.tenant_id, &request.debtor, request.after).await?;
    let contacts = debtors::export(conn, access.tenant_id, &page.contacts).await?;
    let (remarks, webhooks) = debtors::list_mentions(conn, access.tenant_id, &request.debtor, &page.contacts).await?;
    let after = json!({ "contacts": contacts.len() });
    record(conn, &access, "debtor.exported", &request, after, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(Json(DebtorExport { contacts, remarks, webhooks, next_cursor: page.next.map(|next| next.0) }))
}

/// Erases a debtor's data and keeps the proof of sending.
///
/// Unsent contacts are cancelled; after the answer only the contacts that `being_sent` counts can still leave. States,
/// times, attempts and message ids stay, with keyed hashes of phone number and external id, so that the same request
/// finds them again. A search by phone number reads 100,000 contacts per request; follow `next_cursor` to the end.
#[utoipa::path(
    post, path = "/debtors/erase", operation_id = "erase_debtor", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = EraseRequest,
    responses((status = 200, description = "The result", body = DebtorErasure), UserChangeProblems)
)]
async fn erase(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Json<DebtorErasure>, Problem> {
    access.require(Capability::Administer)?;
    let keys = DebtorKeys::of(&context.secrets);
    let request = read(&body, &access, &keys, true)?;
    let (now, tenant) = (context.clock.now(), access.tenant_id);
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let page = debtors::find(conn, tenant, &request.debtor, request.after).await?;
    let hashes = |phone: &str, external_id: Option<&str>| keys.hashes(tenant, phone, external_id);
    let result = debtors::erase(conn, tenant, &request.debtor, &page.contacts, &hashes, now).await?;
    let answer = DebtorErasure {
        erased: result.erased,
        cancelled: result.cancelled,
        being_sent: result.being_sent,
        erased_before: (page.contacts.len() as u64).saturating_sub(result.erased + result.being_sent),
        next_cursor: page.next.map(|next| next.0),
    };
    let after = json!({ "erased": answer.erased, "cancelled": answer.cancelled, "being_sent": answer.being_sent,
                        "erased_before": answer.erased_before, "reason": request.reason });
    record(conn, &access, "debtor.erased", &request, after, now).await?;
    transaction.commit().await?;
    tracing::info!(erased = answer.erased, being_sent = answer.being_sent, "data of a debtor erased");
    Ok(Json(answer))
}

fn read(body: &[u8], access: &Access, keys: &DebtorKeys, has_reason: bool) -> Result<DebtorRequest, Problem> {
    let mut form = Form::read(body, access.language)?;
    let after = form.text("cursor", 36);
    let cursor = after.as_deref().map(str::parse::<ContactId>);
    if matches!(cursor, Some(Err(_))) {
        form.refuse("cursor", "invalid_value", &Text::of("debtor-cursor"));
    }
    let reason = has_reason.then(|| match form.text("reason", 20) {
        Some(text) => choose(&mut form, "reason", &text, &ERASURE_REASONS, |reason| reason),
        None => Some(ERASURE_REASONS[0]),
    });
    let debtor = read_debtor(&mut form, keys, access.tenant_id);
    form.finish()?;
    let (debtor, found_by) = debtor.ok_or_else(|| Problem::of(Code::ValidationFailed))?;
    let reason = reason.flatten();
    Ok(DebtorRequest { debtor, found_by, after: cursor.and_then(Result::ok), reason })
}

/// The debtor, and the field that names the debtor.
fn read_debtor(form: &mut Form<'_>, keys: &DebtorKeys, tenant: TenantId) -> Option<(Debtor, &'static str)> {
    let phone = form.text("phone", 40);
    let external_id = form.text("external_id", MAX_ID_LENGTH);
    match (phone, external_id) {
        (Some(phone), None) => match PhoneNumber::parse(&phone) {
            Ok(phone) => Some((keys.by_phone(tenant, &phone), "phone")),
            Err(error) => {
                form.refuse("phone", error.code(), &error.text());
                None
            }
        },
        (None, Some(id)) => Some((keys.by_external_id(tenant, &id), "external_id")),
        _ => {
            form.refuse("phone", "required", &Text::of("debtor-phone-or-external-id"));
            None
        }
    }
}

/// Audits the request. Only the deployment's keys can make the hash of the debtor.
async fn record(
    conn: &mut PgConnection,
    access: &Access,
    action: &'static str,
    request: &DebtorRequest,
    mut after: Value,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let hash =
        request.debtor.hashes.first().map(|hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    after["by"] = request.found_by.into();
    after["hash"] = hash.into();
    access.record(conn, Change { action, object: String::new(), before: None, after: Some(&after) }, now).await
}

fn reason_schema() -> RefOr<Schema> {
    words(ERASURE_REASONS)
}
