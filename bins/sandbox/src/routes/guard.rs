//! The checks before every route of an instance, in Evolution's order: the body is JSON, the instance exists (404), the
//! key fits (401). Afterwards a query parameter replaces the instance, as in 2.3.7.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use crate::answer::{Answer, AnswerBody};
use crate::clock::now;
use crate::connection::CutHandle;
use crate::faults::{Effect, FaultOn};
use crate::instance::Instance;
use crate::sandbox::Sandbox;
use crate::sending::answer_of;
use crate::settings::InstanceSettings;

pub(crate) struct Guarded {
    pub(crate) instance: Arc<Instance>,
    pub(crate) body: Value,
    pub(crate) received_at: i64,
    pub(crate) connection: CutHandle,
}

impl FromRequest<Sandbox> for Guarded {
    type Rejection = Answer;

    async fn from_request(request: Request, sandbox: &Sandbox) -> Result<Self, Answer> {
        let received_at = now().timestamp_millis();
        let (mut parts, body) = request.into_parts();
        let body = parse_body(&parts.headers, Request::new(body)).await?;
        let instance = named_instance(&mut parts, sandbox).await?;
        let instance = replacement(&parts, sandbox)?.unwrap_or(instance);
        let connection = parts.extensions.get().map(|ConnectInfo(handle): &ConnectInfo<CutHandle>| handle.clone());
        let connection = connection.unwrap_or_default();
        Ok(Self { instance, body, received_at, connection })
    }
}

impl Guarded {
    /// The answer of a route that only reads, unless a fault strikes it. `nothing` is what `find_sees_nothing` answers.
    pub(crate) async fn read(
        self,
        sandbox: &Sandbox,
        on: FaultOn,
        found: impl Fn(&Instance, &Value) -> Answer,
        nothing: Value,
    ) -> Answer {
        let fault = sandbox.strike(on, &self.instance.name, None).await;
        let answer = match fault.effect {
            Effect::None => found(&self.instance, &self.body),
            Effect::FindSeesNothing => Answer::ok(nothing),
            _ => answer_of(&fault, &self.instance.name),
        };
        end(sandbox, &self.connection, answer).await
    }
}

/// Cuts the connection if there is no answer.
pub(crate) async fn end(sandbox: &Sandbox, connection: &CutHandle, answer: Answer) -> Answer {
    match answer.body {
        AnswerBody::Cut => {}
        AnswerBody::Hang => sandbox.shutdown.cancelled().await,
        _ => return answer,
    }
    connection.cut();
    answer
}

async fn named_instance(parts: &mut Parts, sandbox: &Sandbox) -> Result<Arc<Instance>, Answer> {
    let Path(name) = Path::<String>::from_request_parts(parts, &())
        .await
        .map_err(|_| Answer::bad_request(json!(["Failed to decode the path"])))?;
    let key = presented_key(&parts.headers);
    if sandbox.settings.auto_create_instances && sandbox.instance(&name).is_none() {
        let token = key.map(str::to_owned);
        sandbox.create_instance(InstanceSettings { token, ..InstanceSettings::connected(&*name, "") });
    }
    let instance = sandbox.instance(&name).ok_or_else(|| Answer::no_such_instance(&name))?;
    let allowed = key == Some(&*instance.token) || is_global(sandbox, key);
    if allowed { Ok(instance) } else { Err(Answer::unauthorized()) }
}

/// The isolation hole of 2.3.7: one token can send from every instance of the server.
fn replacement(parts: &Parts, sandbox: &Sandbox) -> Result<Option<Arc<Instance>>, Answer> {
    let Some(name) = queried_instance(parts) else { return Ok(None) };
    let missing = "Cannot read properties of undefined (reading 'textMessage')";
    sandbox.instance(&name).map(Some).ok_or_else(|| Answer::internal(missing))
}

pub(crate) fn queried_instance(parts: &Parts) -> Option<String> {
    Query::<HashMap<String, String>>::try_from_uri(&parts.uri).ok()?.0.remove("instanceName")
}

pub(crate) fn presented_key(headers: &HeaderMap) -> Option<&str> {
    headers.get("apikey").and_then(|key| key.to_str().ok())
}

pub(crate) fn is_global(sandbox: &Sandbox, key: Option<&str>) -> bool {
    key == Some(&*sandbox.settings.api_key)
}

/// A body without a JSON content type is ignored; an invalid body with one is refused.
pub(crate) async fn parse_body(headers: &HeaderMap, request: Request) -> Result<Value, Answer> {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let bytes = Bytes::from_request(request, &())
        .await
        .map_err(|_| Answer::error(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large"))?;
    if bytes.is_empty() || !declared.contains("json") {
        return Ok(json!({}));
    }
    serde_json::from_slice(&bytes).map_err(|error| Answer::malformed_json(&syntax_error(&bytes, &error)))
}

/// The error of JavaScript's JSON.parse for the commonest mistakes.
fn syntax_error(bytes: &[u8], error: &serde_json::Error) -> String {
    let lines_before = bytes.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let position = lines_before.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1);
    match bytes.get(position).filter(|_| !error.is_eof()) {
        None => "Unexpected end of JSON input".to_owned(),
        Some(_) if bytes[..position].trim_ascii_end().ends_with(b"{") => {
            format!("Expected property name or '}}' in JSON at position {position}")
        }
        Some(found) => format!("Unexpected token '{}' in JSON at position {position}", char::from(*found)),
    }
}
