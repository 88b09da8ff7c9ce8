//! Templates: a schema that takes long to check, and many changes.

use std::time::Duration;

use serde_json::{Value, json};

use super::Target;
use super::batches::{SEND, batch};
use super::load::Load;
use super::wire::{address, ask};

const TEMPLATES: &str = "/api/v1/admin/templates";

/// Checks each of 50 variables against 31 patterns at 550 references.
pub(super) async fn post_to_costly_schema(target: &Target) -> String {
    let patterns: Vec<_> = (0..31).map(|n| json!({"pattern": format!("^[a-z]*x{{0,{n}}}$")})).collect();
    let schema = json!({
        "$defs": {"a": {"allOf": patterns}},
        "additionalProperties": {"allOf": vec![json!({"$ref": "#/$defs/a"}); 550]},
    });
    let template = json!({"name": "cara", "type": "notification", "variations": ["Olá"], "variables_schema": schema});
    let stored = call(target, reqwest::Method::POST, TEMPLATES, &template).await;
    if stored.0 != 201 {
        return format!("held: the schema is refused when it is stored ({}, {})", stored.0, stored.1["code"]);
    }
    let variables: serde_json::Map<_, _> = (0..50).map(|n| (format!("v{n}"), json!("a".repeat(1000)))).collect();
    let variables = format!(r#","variables":{}"#, Value::Object(variables));
    let load = Load { count: 40, at_once: 40, over: Duration::ZERO, at_most: Duration::from_secs(30) };
    let answers = load.run(|n| {
        let body = batch(&format!("caro-{n}"), 1, r#","template":"cara""#, &variables);
        ask(target.api, address(0), target.with_key(SEND, body.as_bytes()))
    });
    answers.await.to_string()
}

/// Creates a template; returns its path.
pub(super) async fn create(target: &Target) -> String {
    let template = json!({"name": "mudada", "type": "notification", "variations": ["Olá"]});
    let (status, body) = call(target, reqwest::Method::POST, TEMPLATES, &template).await;
    assert_eq!(status, 201, "{body:#}");
    format!("{TEMPLATES}/{}", body["template_id"].as_str().expect("an id"))
}

/// Each change replaces five variations of 4,000 characters.
pub(super) async fn change(target: &Target) -> String {
    let load = Load { count: 605, at_once: 50, over: Duration::from_secs(6), at_most: Duration::from_secs(15) };
    let answers = load.run(|n| {
        let variations: Vec<_> = (0..5).map(|place| format!("{n} {place} {}", "x".repeat(4000))).collect();
        let body = json!({ "variations": variations }).to_string();
        ask(target.api, address(0), target.as_owner(&format!("PUT {}", target.prepared), body.as_bytes()))
    });
    answers.await.to_string()
}

async fn call(target: &Target, method: reqwest::Method, path: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().request(method, format!("http://{}{path}", target.api));
    let answer = crate::Client::answer(request.bearer_auth(&target.bearer).json(body)).await;
    (answer.status.as_u16(), answer.body)
}
