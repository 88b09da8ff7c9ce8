//! The sandbox answers as the captured Evolution API 2.3.7 did: every pair of `captures/` is replayed in order, and
//! status and body are compared. "…" matches values that differ between runs: ids, times, long text.

use anyhow::{Context, ensure};
use regua_sandbox::{InstanceSettings, Integration, Sandbox, StoredMessage};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::running::{Running, settings, start};

#[derive(Deserialize)]
struct Captures {
    instances: Vec<Instance>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Instance {
    name: String,
    token: String,
    integration: String,
    #[serde(default)]
    connected: bool,
    #[serde(default)]
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    key_id: String,
    remote_jid: String,
    remote_jid_alt: Option<String>,
    text: String,
    timestamp: i64,
    from_me: bool,
    updates: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Step {
    title: String,
    key: Option<String>,
    call: String,
    body: Option<Value>,
    raw: Option<String>,
    status: u16,
    answer: Value,
}

async fn replay(captures: &str) -> anyhow::Result<()> {
    let captures: Captures = serde_json::from_str(captures)?;
    let running = start(settings()).await?;
    for instance in captures.instances {
        create(&running.sandbox, instance)?;
    }
    for step in captures.steps {
        replay_step(&running, &step).await.with_context(|| step.title.clone())?;
    }
    running.stop().await
}

fn create(sandbox: &Sandbox, instance: Instance) -> anyhow::Result<()> {
    sandbox.create_instance(InstanceSettings {
        name: instance.name.clone(),
        token: Some(instance.token),
        integration: Integration::parse(&instance.integration).context("unknown integration")?,
        number: None,
        connected: instance.connected,
    });
    for row in instance.rows {
        sandbox.store_message(
            &instance.name,
            StoredMessage {
                id: row.id,
                key_id: row.key_id,
                remote_jid: row.remote_jid,
                remote_jid_alt: row.remote_jid_alt,
                from_me: row.from_me,
                push_name: Some("Você".into()),
                message_type: "conversation".into(),
                message: json!({"conversation": row.text}),
                timestamp: row.timestamp,
                source: "web".into(),
                updates: row.updates,
            },
        );
    }
    Ok(())
}

async fn replay_step(running: &Running, step: &Step) -> anyhow::Result<()> {
    let mut request = running.request(&step.call, step.key.as_deref())?;
    if let Some(body) = &step.body {
        request = request.json(body);
    }
    if let Some(raw) = &step.raw {
        request = request.header("content-type", "application/json").body(raw.clone());
    }
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    ensure!(status == step.status, "expected {}, got {status} {text}", step.status);
    let answer: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    ensure!(matches(&step.answer, &answer), "expected {}\ngot      {answer}", step.answer);
    Ok(())
}

/// "…" alone matches any value; inside a string it matches any text.
fn matches(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::String(pattern), _) if pattern == "…" => true,
        (Value::String(pattern), Value::String(text)) => text_matches(pattern, text),
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len()
                && expected.iter().zip(found).all(|(expected, found)| matches(expected, found))
        }
        (Value::Object(expected), Value::Object(found)) => {
            expected.len() == found.len()
                && expected.iter().all(|(name, expected)| found.get(name).is_some_and(|found| matches(expected, found)))
        }
        _ => expected == found,
    }
}

fn text_matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('…') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(start) else { return false };
    for piece in rest.split('…') {
        let Some(at) = left.find(piece) else { return false };
        left = &left[at + piece.len()..];
    }
    rest.ends_with('…') || rest.is_empty() || left.is_empty()
}

#[tokio::test]
async fn instances_answer_as_captured() -> anyhow::Result<()> {
    replay(include_str!("captures/instance.json")).await
}

#[tokio::test]
async fn send_text_on_the_evolution_channel_answers_as_captured() -> anyhow::Result<()> {
    replay(include_str!("captures/send_text_evolution.json")).await
}

#[tokio::test]
async fn send_text_without_whatsapp_answers_as_captured() -> anyhow::Result<()> {
    replay(include_str!("captures/send_text_baileys.json")).await
}

#[tokio::test]
async fn a_failing_database_answers_as_captured() -> anyhow::Result<()> {
    replay(include_str!("captures/database.json")).await
}

#[tokio::test]
async fn media_and_buttons_answer_as_captured() -> anyhow::Result<()> {
    replay(include_str!("captures/media_and_buttons.json")).await
}

#[tokio::test]
async fn find_messages_answers_as_captured() -> anyhow::Result<()> {
    replay(include_str!("captures/find.json")).await
}

#[tokio::test]
async fn isolation_and_unknown_routes_answer_as_captured() -> anyhow::Result<()> {
    replay(include_str!("captures/isolation.json")).await
}
