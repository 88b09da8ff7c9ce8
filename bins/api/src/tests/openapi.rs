//! The OpenAPI document: compared with the contract, and with the fields that the readers of bodies accept.

use std::collections::BTreeSet;

use chrono::Utc;
use regua_domain::{Language, MessageType};
use serde_json::{Value, json};

use crate::http::paths::{ADMIN, AUTH};
use crate::intake::batch::{Batch, Contact, Fields};

fn document() -> Value {
    serde_json::from_str(&crate::openapi_json().unwrap()).unwrap()
}

fn members(schema: &str) -> BTreeSet<String> {
    document()["components"]["schemas"][schema]["properties"].as_object().unwrap().keys().cloned().collect()
}

fn names(names: &str) -> BTreeSet<String> {
    names.split(',').map(|name| name.trim().to_owned()).collect()
}

#[test]
fn openapi_document_has_the_paths_and_fields_of_the_contract() {
    let paths: Vec<_> = document()["paths"].as_object().unwrap().keys().cloned().collect();
    let contract = [
        "/api/v1/billing/contact/{contact}",
        "/api/v1/billing/contact/{contact}/verdict",
        "/api/v1/billing/queue/{queue_id}/contacts",
        "/api/v1/billing/queue/{queue_id}/control",
        "/api/v1/billing/queue/{queue_id}/status",
        "/api/v1/billing/queues",
        "/api/v1/billing/send/notification",
        "/api/v1/billing/send/overdue",
        "/api/v1/billing/send/upcoming",
        "/webhooks/evolution/{tenant_id}/{instance_id}",
    ];
    let is_for_programs = |path: &&String| !path.starts_with(AUTH) && !path.starts_with(ADMIN);
    assert_eq!(paths.iter().filter(is_for_programs).collect::<Vec<_>>(), contract);
    assert!(paths.len() > contract.len() + 30, "the admin and auth routes are in the same document");
    assert_eq!(
        members("SendAccepted"),
        names("campaign_id,queue_id,type,status,accepted,rejected,warnings,status_url,replayed")
    );
    assert_eq!(members("ContactRemark"), names("index,external_id,field,code,message"));
    assert_eq!(members("QueueStatus"), names(
        "queue_id,campaign_id,external_id,name,type,status,total,pending,sending,sent,delivered,read,failed,unconfirmed,
         skipped,cancelled,progress,rate_per_minute,eta,reason,resume_at,processing_by,last_heartbeat,created_at,
         started_at,finished_at"));
    assert_eq!(
        members("ContactStatus"),
        names(
            "contact_id,external_id,phone,status,reference,variation,attempts,resends,reason,message_id,sent_at,
             delivered_at,read_at,erased_at,metadata"
        )
    );
    assert_eq!(members("Problem"), names("type,title,status,code,detail,errors,request_id"));
}

#[test]
fn error_codes_of_the_contract_are_documented_and_operation_ids_are_unique() {
    let document = document().to_string();
    for code in [
        "malformed_json",
        "api_key_missing",
        "api_key_invalid",
        "api_key_inactive",
        "api_key_expired",
        "webhook_secret_invalid",
        "quota_exceeded",
        "ip_not_allowed",
        "template_type_not_allowed",
        "not_found",
        "batch_conflict",
        "state_conflict",
        "body_too_large",
        "unsupported_media_type",
        "validation_failed",
        "no_valid_contact",
        "template_not_found",
        "instance_not_found",
        "schema_too_costly",
        "rate_limited",
        "overloaded",
        "unavailable",
    ] {
        assert!(document.contains(&format!("`{code}`")), "{code}");
    }
    let ids: Vec<_> = document.split("\"operationId\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len());
    assert!(ids.len() > 60, "{}", ids.len());
}

#[test]
fn batch_accepts_the_fields_of_the_openapi_document() {
    let contact: serde_json::Map<_, _> = members("SendContact").into_iter().map(|name| (name, json!({}))).collect();
    let body = json!({"external_id": "b", "unheard_of": 1, "contacts": [contact]}).to_string();
    #[expect(clippy::disallowed_methods, reason = "the test does not depend on the time")]
    let parsed = Batch::parse(body.as_bytes(), MessageType::Overdue, Language::English, Utc::now());
    let message = &parsed.unwrap_err().errors()[0].message.clone();
    let (_, known) = message.split_once("fields: ").unwrap();
    assert_eq!(names(known.trim_end_matches('.')), members("SendRequest"));
}

#[test]
fn contact_accepts_the_fields_of_the_openapi_document() {
    let contact = json!({
        "external_id": "a", "name": "A", "phone": "11988887777", "due_date": "2026-11-10", "amount": "1", "variables": {},
        "metadata": {}
    });
    assert_eq!(contact.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>(), members("SendContact"));
    assert!(
        Contact::read(Fields::read(&contact.to_string()), MessageType::Overdue)
            .map_err(|_| ())
            .unwrap()
            .unknown_fields
            .is_empty()
    );
}
