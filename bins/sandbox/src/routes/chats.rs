//! whatsappNumbers, findMessages and findStatusMessage.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::guard::Guarded;
use crate::answer::Answer;
use crate::faults::FaultOn;
use crate::history::History;
use crate::instance::{Instance, InstanceState, Link};
use crate::numbers::canonical_jid;
use crate::sandbox::Sandbox;
use crate::schema::NUMBERS;
use crate::settings::Integration;

/// This route answers errors without the envelope: a raw error object, or `{}`.
pub(super) async fn whatsapp_numbers(State(sandbox): State<Sandbox>, request: Guarded) -> Result<Answer, Answer> {
    NUMBERS.check(&request.body)?;
    let numbers: Vec<&str> =
        request.body["numbers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let directory = &sandbox.directory;
    let needs_whatsapp = numbers.iter().any(|number| !directory.is_cached(&canonical_jid(number)));
    if needs_whatsapp && request.instance.integration == Integration::Baileys {
        check_connection(&request.instance)?;
    }
    let row = |number: &&str| {
        let jid = canonical_jid(number);
        json!({"exists": directory.look_up(number, &jid), "jid": jid, "number": number})
    };
    Ok(Answer::ok(numbers.iter().map(row).collect()))
}

fn check_connection(instance: &Instance) -> Result<(), Answer> {
    match instance.link() {
        Link { state: InstanceState::Open, .. } => Ok(()),
        Link { ever_connected: false, .. } => Err(Answer::raw(StatusCode::BAD_REQUEST, json!({}))),
        _ => Err(Answer::raw(
            StatusCode::BAD_REQUEST,
            json!({
                "data": null, "isBoom": true, "isServer": false,
                "output": {
                    "statusCode": 428, "headers": {},
                    "payload": {"statusCode": 428, "error": "Precondition Required", "message": "Connection Closed"},
                },
            }),
        )),
    }
}

pub(super) async fn find_messages(State(sandbox): State<Sandbox>, request: Guarded) -> Answer {
    let find = |instance: &Instance, query: &Value| Answer::ok(instance.history.find_messages(&instance.id, query));
    let nothing = History::default().find_messages("", &Value::Null);
    request.read(&sandbox, FaultOn::Find, find, nothing).await
}

pub(super) async fn find_statuses(State(sandbox): State<Sandbox>, request: Guarded) -> Answer {
    let find = |instance: &Instance, query: &Value| Answer::ok(instance.history.find_statuses(&instance.id, query));
    request.read(&sandbox, FaultOn::Find, find, json!([])).await
}
