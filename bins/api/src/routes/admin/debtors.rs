//! What is kept about one debtor: shown to whoever answers their request, and erased (LGPD, articles 18 and 16; docs/privacy.md).
//! The audit log holds that it was done and a keyed hash of whom, never who it was.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use regua_boot::DebtorKeys;
use regua_domain::{ContactId, PhoneNumber, Right, TenantId};
use regua_store::debtors::{self, Debtor};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::queue::words;
use crate::Context;
use crate::batch::LONGEST_ID;
use crate::error::{PersonChangeProblems, Problem};
use crate::form::Form;
use crate::people::{Access, Change, JsonBody};

/// Why data is erased. Words and no text, so that nobody writes the debtor's name into the audit log.
pub const ERASURE_REASONS: [&str; 4] = ["requested", "consent_withdrawn", "purpose_ended", "authority"];

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(export)).routes(routes!(erase))
}

/// Whose data: by their number, or by the id that the ERP gives them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct ExportRequest {
    /// As an ERP writes it; with or without country code and ninth digit.
    #[schema(example = "(11) 98888-7777", min_length = 1, max_length = 40)]
    phone: Option<String>,
    /// The `external_id` of their contacts; this or the number.
    #[schema(min_length = 1, max_length = 200)]
    external_id: Option<String>,
    /// `next_cursor` of the answer before.
    cursor: Option<uuid::Uuid>,
}

/// Whose data, and why.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct EraseRequest {
    /// As an ERP writes it; with or without country code and ninth digit.
    #[schema(example = "(11) 98888-7777", min_length = 1, max_length = 40)]
    phone: Option<String>,
    /// The `external_id` of their contacts; this or the number.
    #[schema(min_length = 1, max_length = 200)]
    external_id: Option<String>,
    /// `next_cursor` of the answer before.
    cursor: Option<uuid::Uuid>,
    /// For the audit log; `requested` unless given.
    #[schema(schema_with = reason_schema)]
    reason: Option<String>,
}

/// What is kept about a debtor.
#[derive(Serialize, ToSchema)]
struct DebtorExport {
    /// Their contacts, each with all its columns, its batch (`campaign`), its tries (`history`) and what was learnt of them
    /// (`evidence`). One that was erased holds none of their data.
    #[schema(value_type = Vec<Object>)]
    contacts: Vec<Value>,
    /// Remarks on their contacts in batches, also on contacts that were refused.
    #[schema(value_type = Vec<Object>)]
    remarks: Vec<Value>,
    /// Webhooks of the gateway about them that have not been matched yet.
    #[schema(value_type = Vec<Object>)]
    webhooks: Vec<Value>,
    /// Not all was looked through: ask again with it. Null: that was all.
    next_cursor: Option<uuid::Uuid>,
}

/// What an erasure came to.
#[derive(Serialize, ToSchema)]
struct DebtorErasure {
    /// Contacts that hold nothing of them any more.
    erased: u64,
    /// Of these, contacts that waited to be sent, and never will be.
    cancelled: u64,
    /// Contacts that are on their way at this moment: each is erased within seconds of its outcome, and not tried again.
    being_sent: u64,
    /// Contacts that had been erased before.
    erased_before: u64,
    /// Not all was looked through: ask again with it, or something may still be sent. Null: that was all.
    next_cursor: Option<uuid::Uuid>,
}

/// A request that was read.
struct Asked {
    debtor: Debtor,
    /// `phone` or `external_id`.
    by: &'static str,
    after: Option<ContactId>,
    reason: Option<String>,
}

/// Everything that is kept about a debtor.
///
/// By number it looks through 100,000 contacts at a time; follow `next_cursor` to the end.
#[utoipa::path(
    post, path = "/debtors/export", operation_id = "export_debtor", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = ExportRequest,
    responses((status = 200, description = "What is kept", body = DebtorExport), PersonChangeProblems)
)]
async fn export(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Json<DebtorExport>, Problem> {
    access.require(Right::Own)?;
    let keys = DebtorKeys::of(&context.secrets);
    let asked = read(&body, &access, &keys, false)?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let page = debtors::find(conn, access.tenant_id, &asked.debtor, asked.after).await?;
    let contacts = debtors::export(conn, access.tenant_id, &page.contacts).await?;
    let (remarks, webhooks) = debtors::elsewhere(conn, access.tenant_id, &asked.debtor, &page.contacts).await?;
    let after = json!({ "contacts": contacts.len() });
    record(conn, &access, "debtor.exported", &asked, after, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(Json(DebtorExport { contacts, remarks, webhooks, next_cursor: page.next.map(|next| next.0) }))
}

/// Erases a debtor's data and keeps the proof of sending.
///
/// What waits is cancelled, and nothing of theirs is sent after the answer but what `being_sent` counts. State, times, tries and ids
/// of messages stay, with keyed hashes of number and id, so that the same request finds them again. By number it looks through
/// 100,000 contacts at a time; follow `next_cursor` to the end.
#[utoipa::path(
    post, path = "/debtors/erase", operation_id = "erase_debtor", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = EraseRequest,
    responses((status = 200, description = "What was erased", body = DebtorErasure), PersonChangeProblems)
)]
async fn erase(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Json<DebtorErasure>, Problem> {
    access.require(Right::Own)?;
    let keys = DebtorKeys::of(&context.secrets);
    let asked = read(&body, &access, &keys, true)?;
    let (now, tenant) = (context.clock.now(), access.tenant_id);
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let page = debtors::find(conn, tenant, &asked.debtor, asked.after).await?;
    let hashes = |phone: &str, external_id: Option<&str>| keys.hashes(tenant, phone, external_id);
    let done = debtors::erase(conn, tenant, &asked.debtor, &page.contacts, &hashes, now).await?;
    let answer = DebtorErasure {
        erased: done.erased,
        cancelled: done.cancelled,
        being_sent: done.being_sent,
        erased_before: (page.contacts.len() as u64).saturating_sub(done.erased + done.being_sent),
        next_cursor: page.next.map(|next| next.0),
    };
    let after = json!({ "erased": answer.erased, "cancelled": answer.cancelled, "being_sent": answer.being_sent,
                        "erased_before": answer.erased_before, "reason": asked.reason });
    record(conn, &access, "debtor.erased", &asked, after, now).await?;
    transaction.commit().await?;
    tracing::info!(erased = answer.erased, being_sent = answer.being_sent, "a debtor's data was erased");
    Ok(Json(answer))
}

fn read(body: &[u8], access: &Access, keys: &DebtorKeys, takes_reason: bool) -> Result<Asked, Problem> {
    let language = access.language;
    let mut form = Form::read(body, language)?;
    let after = form.text("cursor", 36);
    let cursor = after.as_deref().map(str::parse::<ContactId>);
    if matches!(cursor, Some(Err(_))) {
        form.refuse("cursor", "invalid_value", language.pick("Envie o next_cursor.", "Send the next_cursor."));
    }
    let reason = if takes_reason { form.text("reason", 20) } else { None };
    if reason.as_deref().is_some_and(|reason| !ERASURE_REASONS.contains(&reason)) {
        let all = ERASURE_REASONS.join(", ");
        let message = language.pick(format!("Valores aceitos: {all}."), format!("Use one of {all}."));
        form.refuse("reason", "invalid_value", &message);
    }
    let found = whom(&mut form, keys, access.tenant_id);
    form.finish()?;
    let (debtor, by) = found.ok_or_else(|| Problem::of(crate::error::Code::ValidationFailed))?;
    let reason = takes_reason.then(|| reason.unwrap_or_else(|| ERASURE_REASONS[0].to_owned()));
    Ok(Asked { debtor, by, after: cursor.and_then(Result::ok), reason })
}

/// Whom a form names, and by what.
fn whom(form: &mut Form<'_>, keys: &DebtorKeys, tenant: TenantId) -> Option<(Debtor, &'static str)> {
    let phone = form.text("phone", 40);
    let external_id = form.text("external_id", LONGEST_ID);
    match (phone, external_id) {
        (Some(phone), None) => match PhoneNumber::parse(&phone) {
            Ok(phone) => Some((keys.by_phone(tenant, &phone), "phone")),
            Err(error) => {
                form.refuse("phone", error.code(), &error.explain(form.language));
                None
            }
        },
        (None, Some(id)) => Some((keys.by_external_id(tenant, &id), "external_id")),
        _ => {
            let message = form.language.pick("Envie phone ou external_id.", "Send either phone or external_id.");
            form.refuse("phone", "required", message);
            None
        }
    }
}

/// That it was done, and of whom by a hash that only the keys can make.
async fn record(
    conn: &mut PgConnection,
    access: &Access,
    action: &'static str,
    asked: &Asked,
    mut after: Value,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let hash =
        asked.debtor.hashes.first().map(|hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    after["by"] = asked.by.into();
    after["hash"] = hash.into();
    access.record(conn, Change { action, object: String::new(), before: None, after: Some(&after) }, now).await
}

fn reason_schema() -> RefOr<Schema> {
    words(ERASURE_REASONS)
}
