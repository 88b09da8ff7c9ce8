//! Export and erasure of one debtor's data (LGPD, articles 18 and 16; docs/privacy.md). The audit entry identifies the
//! debtor by a keyed hash only.

use regua_domain::{ContactId, ErasureReason, PhoneNumber};
use regua_secrets::DebtorKeys;
use regua_store::contacts::ErasedContacts;
use regua_store::debtors::{self, Debtor};

use crate::intake::batch::MAX_ID_LENGTH;
use crate::routes::kit::*;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(export_debtor)).routes(routes!(erase_debtor))
}

body! {
    /// The debtor, by phone number or by the ERP's id.
    struct ExportRequest {
        /// `next_cursor` of the previous answer.
        cursor: Option<Cursor>,
        /// In any usual form, with or without country code and ninth digit.
        #[example = "(11) 98888-7777"]
        phone: Option<Line<1, 40>>,
        /// The `external_id` of the debtor's contacts. Give either this or `phone`.
        external_id: Option<Line<1, MAX_ID_LENGTH>>,
    }
}

body! {
    /// The debtor, and the reason of the erasure.
    struct EraseRequest {
        /// `next_cursor` of the previous answer.
        cursor: Option<Cursor>,
        // For the audit log.
        reason: ErasureReason = ErasureReason::Requested,
        /// In any usual form, with or without country code and ninth digit.
        #[example = "(11) 98888-7777"]
        phone: Option<Line<1, 40>>,
        /// The `external_id` of the debtor's contacts. Give either this or `phone`.
        external_id: Option<Line<1, MAX_ID_LENGTH>>,
    }
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
    next_cursor: Option<Uuid>,
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
    next_cursor: Option<Uuid>,
}

/// Exports the data that is stored about a debtor.
///
/// A search by phone number reads 100,000 contacts per request, and an answer has about 1 MiB of contacts; follow
/// `next_cursor` to the end.
#[utoipa::path(
    post, path = "/debtors/export", request_body = ExportRequest,
    responses((status = 200, description = "The data", body = DebtorExport))
)]
async fn export_debtor(access: Access<Administer>, mut body: Draft<ExportRequest>) -> Answer<DebtorExport> {
    let (phone, external_id) = (body.phone.clone().flatten(), body.external_id.clone().flatten());
    let debtor = named_debtor(&mut body, &access, phone, external_id);
    let (ExportRequest { cursor, .. }, (debtor, by)) = (body.finish()?, found(debtor)?);
    let work = async |conn: &mut PgConnection, now| {
        let mut page = debtors::find(conn, access.tenant_id, &debtor, cursor).await?;
        let contacts = debtors::export(conn, access.tenant_id, &mut page).await?;
        let (remarks, webhooks) = debtors::list_mentions(conn, access.tenant_id, &debtor, &page.contacts).await?;
        let after = json!({ "contacts": contacts.len(), "by": by, "hash": hash(&debtor) });
        access.record(conn, "debtor.exported", "", (&(), &after), now).await?;
        Ok(DebtorExport { contacts, remarks, webhooks, next_cursor: page.next.map(|next| next.0) })
    };
    access.debtor_request(work).await.map(Json)
}

/// Erases a debtor's data and keeps the proof of sending.
///
/// Unsent contacts are cancelled; after the answer only the contacts that `being_sent` counts can still leave. States,
/// times, attempts and message ids stay, with keyed hashes of phone number and external id, so that the same request
/// finds them again. A search by phone number reads 100,000 contacts per request; follow `next_cursor` to the end.
#[utoipa::path(
    post, path = "/debtors/erase", request_body = EraseRequest,
    responses((status = 200, description = "The result", body = DebtorErasure))
)]
async fn erase_debtor(access: Access<Administer>, mut body: Draft<EraseRequest>) -> Answer<DebtorErasure> {
    let (phone, external_id) = (body.phone.clone().flatten(), body.external_id.clone().flatten());
    let debtor = named_debtor(&mut body, &access, phone, external_id);
    let (EraseRequest { cursor, reason, .. }, (debtor, by)) = (body.finish()?, found(debtor)?);
    let (keys, tenant) = (DebtorKeys::of(&access.context.secrets), access.tenant_id);
    let work = async |conn: &mut PgConnection, now| {
        let page = debtors::find(conn, tenant, &debtor, cursor).await?;
        let hashes = |phone: &str, external_id: Option<&str>| keys.hashes(tenant, phone, external_id);
        let result = debtors::erase(conn, tenant, &debtor, &page.contacts, &hashes, now).await?;
        let erased_before = (page.contacts.len() as u64).saturating_sub(result.erased + result.being_sent);
        let ErasedContacts { erased, cancelled, being_sent } = result;
        let after = json!({ "erased": erased, "cancelled": cancelled, "being_sent": being_sent,
                            "erased_before": erased_before, "reason": reason, "by": by, "hash": hash(&debtor) });
        access.record(conn, "debtor.erased", "", (&(), &after), now).await?;
        let next_cursor = page.next.map(|next| next.0);
        Ok(DebtorErasure { erased, cancelled, being_sent, erased_before, next_cursor })
    };
    let answer = access.debtor_request(work).await?;
    tracing::info!(erased = answer.erased, being_sent = answer.being_sent, "data of a debtor erased");
    Ok(Json(answer))
}

/// The debtor of a request, and the field that names the debtor.
fn named_debtor<T: Body>(
    body: &mut Draft<T>,
    access: &Principal,
    phone: Option<String>,
    external_id: Option<String>,
) -> Option<(Debtor, &'static str)> {
    let (keys, tenant) = (DebtorKeys::of(&access.context.secrets), access.tenant_id);
    match (phone, external_id) {
        (Some(phone), None) => match PhoneNumber::parse(&phone) {
            Ok(phone) => return Some((keys.by_phone(tenant, &phone), "phone")),
            Err(error) => body.refuse("phone", error.code(), &error.text()),
        },
        (None, Some(id)) => return Some((keys.by_external_id(tenant, &id), "external_id")),
        _ => body.refuse("phone", "required", &Text::of("debtor-phone-or-external-id")),
    }
    None
}

/// The hash of a debtor in the audit log. Only the deployment's keys can make it.
fn hash(debtor: &Debtor) -> Option<String> {
    Some(debtor.hashes.first()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

struct Cursor;

impl Member for Cursor {
    type Value = ContactId;

    fn schema() -> Schema {
        Uuid::schema()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<ContactId> {
        field.parsed(36, |text| text.parse().ok(), "invalid_value", &Text::of("debtor-cursor"))
    }
}

word_members! { ErasureReason = ErasureReason::ALL; }
