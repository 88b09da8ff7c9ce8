//! The life cycle of an instance: create, read, connect, restart, log out, delete.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::guard::{Guarded, is_global, parse_body, presented_key, queried_instance};
use super::webhooks;
use crate::answer::Answer;
use crate::faults::FaultOn;
use crate::instance::{Instance, InstanceState, settings};
use crate::sandbox::Sandbox;
use crate::schema::CREATE;
use crate::settings::{InstanceSettings, Integration};

/// Only the global key creates. A wrong key also gets the 403 of a used name.
pub(super) async fn create(State(sandbox): State<Sandbox>, request: Request) -> Result<Answer, Answer> {
    let (parts, body) = request.into_parts();
    let body = parse_body(&parts.headers, Request::new(body)).await?;
    let name = body["instanceName"].as_str().unwrap_or_default().to_owned();
    if sandbox.instance(&name).is_some() {
        return Err(used_name(&name));
    }
    if !is_global(&sandbox, presented_key(&parts.headers)) {
        return Err(Answer::unauthorized());
    }
    CREATE.check(&body)?;
    let integration = body["integration"].as_str().and_then(Integration::parse);
    let integration = integration.ok_or_else(|| Answer::thrown("Invalid integration"))?;
    let created = sandbox.create_instance(InstanceSettings {
        token: body["token"].as_str().filter(|token| !token.is_empty()).map(str::to_owned),
        number: body["number"].as_str().map(str::to_owned),
        connected: false,
        name: name.clone(),
        integration,
    });
    let instance = sandbox.instance(&name).filter(|_| created).ok_or_else(|| used_name(&name))?;
    if body["webhook"].is_object() {
        webhooks::store(&sandbox, &instance, &body["webhook"])?;
    }
    let identity = json!({"instanceName": name, "instanceId": instance.id});
    sandbox.emit(&instance, "instance.create", || identity);
    Ok(Answer::created(created_body(&instance)))
}

fn used_name(name: &str) -> Answer {
    Answer::error(StatusCode::FORBIDDEN, json!([format!("This name \"{name}\" is already in use.")]))
}

fn created_body(instance: &Instance) -> Value {
    let webhook = instance.webhook().map_or_else(
        || json!({}),
        |webhook| {
            json!({
                "webhookUrl": webhook.url, "webhookHeaders": webhook.headers,
                "webhookByEvents": webhook.by_events, "webhookBase64": webhook.base64,
            })
        },
    );
    json!({
        "instance": {
            "instanceName": instance.name, "instanceId": instance.id, "integration": instance.integration.as_str(),
            "webhookWaBusiness": null, "accessTokenWaBusiness": "", "status": instance.link().state.as_str(),
        },
        "hash": instance.token, "webhook": webhook, "websocket": {}, "rabbitmq": {}, "nats": {}, "sqs": {},
        "settings": settings(),
    })
}

/// The global key sees all instances, a token only its own.
pub(super) async fn fetch(State(sandbox): State<Sandbox>, request: Request) -> Result<Answer, Answer> {
    let (parts, _) = request.into_parts();
    let (key, wanted) = (presented_key(&parts.headers), queried_instance(&parts));
    if let Some(name) = &wanted
        && sandbox.instance(name).is_none()
    {
        return Err(Answer::no_such_instance(name));
    }
    let global = is_global(&sandbox, key);
    let own = |instance: &Arc<Instance>| key == Some(&*instance.token);
    let all = sandbox.all_instances();
    if !global && !all.iter().any(own) {
        return Err(Answer::unauthorized());
    }
    let seen = all.iter().filter(|instance| {
        if global { wanted.as_ref().is_none_or(|name| *name == instance.name) } else { own(instance) }
    });
    Ok(Answer::ok(seen.map(|instance| instance.row(&sandbox.settings.client_name)).collect()))
}

pub(super) async fn connection_state(State(sandbox): State<Sandbox>, request: Guarded) -> Answer {
    request.read(&sandbox, FaultOn::State, |instance, _| state_of(instance), Value::Null).await
}

/// An instance that is stored but not loaded has no state.
fn state_of(instance: &Instance) -> Answer {
    let mut body = json!({"instance": {"instanceName": instance.name}});
    if let Some(state) = instance.link().state.as_str() {
        body["instance"]["state"] = json!(state);
    }
    Answer::ok(body)
}

pub(super) async fn connect(State(sandbox): State<Sandbox>, request: Guarded) -> Answer {
    let instance = request.instance;
    match (instance.link().state, instance.integration) {
        (InstanceState::Open, _) => state_of(&instance),
        (InstanceState::Absent, _) => failed_with_200(),
        (_, Integration::Evolution) => {
            sleep(sandbox.settings.connect_wait).await;
            Answer::ok(json!({}))
        }
        (InstanceState::Connecting, _) => no_code(),
        (InstanceState::Close, _) => {
            sandbox.move_to(&instance, InstanceState::Connecting);
            sleep(sandbox.settings.connect_wait).await;
            no_code()
        }
    }
}

/// Without a QR code: WhatsApp is unreachable, as for the captures, and the instance stays `connecting`.
fn no_code() -> Answer {
    Answer::ok(json!({"count": 0}))
}

/// connect and restart answer errors with status 200.
fn failed_with_200() -> Answer {
    Answer::ok(json!({"error": true, "message": "[object Object]"}))
}

pub(super) async fn restart(State(sandbox): State<Sandbox>, request: Guarded) -> Answer {
    let instance = request.instance;
    match instance.link().state {
        InstanceState::Close | InstanceState::Absent => failed_with_200(),
        InstanceState::Connecting => no_code(),
        InstanceState::Open => {
            sandbox.announce(&instance, InstanceState::Connecting, 200);
            sandbox.move_to(&instance, InstanceState::Open);
            state_of(&instance)
        }
    }
}

pub(super) async fn log_out(State(sandbox): State<Sandbox>, request: Guarded) -> Result<Answer, Answer> {
    let instance = request.instance;
    if instance.link().state == InstanceState::Close {
        return Err(Answer::thrown(&format!("The \"{}\" instance is not connected", instance.name)));
    }
    instance.log_out();
    sandbox.emit(&instance, "logout.instance", || Value::Null);
    sandbox.announce(&instance, InstanceState::Close, 401);
    Ok(Answer::ok(json!({"status": "SUCCESS", "error": false, "response": {"message": "Instance logged out"}})))
}

pub(super) async fn remove(State(sandbox): State<Sandbox>, request: Guarded) -> Answer {
    let instance = request.instance;
    let identity = json!({"instanceName": instance.name, "instanceId": instance.id});
    sandbox.emit(&instance, "instance.delete", || identity);
    sandbox.remove_instance(&instance.name);
    Answer::ok(json!({"status": "SUCCESS", "error": false, "response": {"message": "Instance deleted"}}))
}
