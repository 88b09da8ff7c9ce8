//! `/sandbox/…`: control of a running sandbox. The routes need no key, because the sandbox listens on the loopback.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::answer::Answer;
use crate::faults::Fault;
use crate::instance::InstanceState;
use crate::numbers::Numbers;
use crate::sandbox::Sandbox;
use crate::settings::StatusTimes;

/// The longest page of the ledger, which is also the default.
const PAGE: usize = 10_000;

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Faults {
    Several(Vec<Fault>),
    One(Box<Fault>),
}

#[derive(Deserialize)]
pub(super) struct NewState {
    state: InstanceState,
}

#[derive(Deserialize)]
pub(super) struct LedgerPage {
    after: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn set_faults(State(sandbox): State<Sandbox>, Json(faults): Json<Faults>) -> Result<Answer, Answer> {
    let faults = match faults {
        Faults::Several(faults) => faults,
        Faults::One(fault) => vec![*fault],
    };
    sandbox.set_faults(faults).map_err(Answer::bad_request)?;
    Ok(Answer::ok(json!(sandbox.faults())))
}

pub(super) async fn faults(State(sandbox): State<Sandbox>) -> Answer {
    Answer::ok(json!(sandbox.faults()))
}

pub(super) async fn clear_faults(State(sandbox): State<Sandbox>) -> Result<StatusCode, Answer> {
    sandbox.set_faults(Vec::new()).map_err(Answer::bad_request)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn set_state(
    State(sandbox): State<Sandbox>,
    Path(instance): Path<String>,
    Json(NewState { state }): Json<NewState>,
) -> Result<Answer, Answer> {
    if !sandbox.set_state(&instance, state) {
        return Err(Answer::no_such_instance(&instance));
    }
    Ok(Answer::ok(json!({"instance": instance, "state": state})))
}

pub(super) async fn set_numbers(State(sandbox): State<Sandbox>, Json(numbers): Json<Numbers>) -> Answer {
    let body = json!(numbers);
    sandbox.set_numbers(numbers);
    Answer::ok(body)
}

pub(super) async fn set_statuses(State(sandbox): State<Sandbox>, Json(times): Json<StatusTimes>) -> Answer {
    sandbox.set_statuses(times);
    Answer::ok(json!(times))
}

pub(super) async fn ledger(State(sandbox): State<Sandbox>, Query(page): Query<LedgerPage>) -> Answer {
    let entries = sandbox.ledger.page(page.after.unwrap_or(0), page.limit.unwrap_or(PAGE).min(PAGE));
    let entries: Vec<_> = entries.iter().map(|entry| json!(**entry)).collect();
    Answer::ok(json!({"next": entries.last().map(|entry| &entry["sequence"]), "entries": entries}))
}

pub(super) async fn clear_ledger(State(sandbox): State<Sandbox>) -> StatusCode {
    sandbox.clear_ledger();
    StatusCode::NO_CONTENT
}

pub(super) async fn summary(State(sandbox): State<Sandbox>) -> Answer {
    Answer::ok(json!(sandbox.ledger_summary()))
}

pub(super) async fn calls(State(sandbox): State<Sandbox>) -> Answer {
    Answer::ok(json!(sandbox.calls()))
}
