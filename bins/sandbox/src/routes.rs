//! The router of the sandbox.

mod chats;
mod control;
mod guard;
mod instances;
mod messages;
mod webhooks;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use serde_json::json;

use crate::answer::Answer;
use crate::sandbox::Sandbox;

/// Evolution's own limit.
const BODY_LIMIT: usize = 136 * 1024 * 1024;

/// Evolution's routes, and `/sandbox` for tests and demos.
pub(crate) fn router(sandbox: Sandbox) -> Router {
    gateway()
        .route_layer(middleware::from_fn_with_state(sandbox.clone(), count))
        .merge(controls())
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(sandbox)
}

fn gateway() -> Router<Sandbox> {
    Router::new()
        .route("/", get(server_info))
        .route("/instance/create", post(instances::create))
        .route("/instance/fetchInstances", get(instances::fetch))
        .route("/instance/connectionState/{instance}", get(instances::connection_state))
        .route("/instance/connect/{instance}", get(instances::connect))
        .route("/instance/restart/{instance}", post(instances::restart))
        .route("/instance/logout/{instance}", delete(instances::log_out))
        .route("/instance/delete/{instance}", delete(instances::remove))
        .route("/message/sendText/{instance}", post(messages::send_text))
        .route("/message/sendMedia/{instance}", post(messages::send_media))
        .route("/message/sendButtons/{instance}", post(messages::send_buttons))
        .route("/chat/whatsappNumbers/{instance}", post(chats::whatsapp_numbers))
        .route("/chat/findMessages/{instance}", post(chats::find_messages))
        .route("/chat/findStatusMessage/{instance}", post(chats::find_statuses))
        .route("/webhook/set/{instance}", post(webhooks::set))
        .route("/webhook/find/{instance}", get(webhooks::find))
}

fn controls() -> Router<Sandbox> {
    Router::new()
        .route("/sandbox/faults", put(control::set_faults).get(control::faults).delete(control::clear_faults))
        .route("/sandbox/instances/{instance}/state", put(control::set_state))
        .route("/sandbox/numbers", put(control::set_numbers))
        .route("/sandbox/statuses", put(control::set_statuses))
        .route("/sandbox/ledger", get(control::ledger).delete(control::clear_ledger))
        .route("/sandbox/ledger/summary", get(control::summary))
        .route("/sandbox/calls", get(control::calls))
}

async fn count(State(sandbox): State<Sandbox>, path: MatchedPath, request: Request, next: Next) -> Response {
    sandbox.count_call(request.method(), path.as_str());
    next.run(request).await
}

async fn server_info(State(sandbox): State<Sandbox>) -> Answer {
    Answer::ok(json!({
        "status": 200, "message": "Welcome to the Evolution API, it is working!", "version": "2.3.7",
        "clientName": sandbox.settings.client_name, "documentation": "https://doc.evolution-api.com",
        "whatsappWebVersion": "2.3000.1027934701",
    }))
}

async fn unknown(method: Method, uri: Uri) -> Answer {
    Answer::error(StatusCode::NOT_FOUND, json!([format!("Cannot {method} {uri}")]))
}
