//! The answer of each fault, and its effect on the ledger.

use std::time::Duration;

use anyhow::ensure;
use regua_sandbox::{InstanceSettings, Settings};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::running::{Running, settings, start};

async fn matriz() -> anyhow::Result<Running> {
    start(Settings { instances: vec![InstanceSettings::connected("matriz", "tok-matriz")], ..settings() }).await
}

async fn send(running: &Running, body: Value) -> anyhow::Result<(u16, String)> {
    let response = running.request("POST /message/sendText/matriz", Some("tok-matriz"))?.json(&body).send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

async fn set_faults(running: &Running, faults: Value) -> anyhow::Result<u16> {
    let response = running.request("PUT /sandbox/faults", None)?.json(&faults).send().await?;
    Ok(response.status().as_u16())
}

fn message() -> Value {
    json!({"number": "5511988887777", "text": "Ref. 7K3F9Q"})
}

async fn until_left(running: &Running, count: usize) -> anyhow::Result<()> {
    let watch = async {
        while running.sandbox.ledger_summary().count < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    Ok(timeout(Duration::from_secs(10), watch).await?)
}

#[tokio::test]
async fn every_fault_has_its_answer_and_its_effect_on_the_ledger() -> anyhow::Result<()> {
    let running = matriz().await?;
    let cases = [
        (json!({"effect": "400_connection_closed"}), 400, "Error: Connection Closed", 0),
        (json!({"effect": "400_timed_out"}), 400, "Error: Timed Out", 0),
        (json!({"effect": "400_timed_out", "left": true}), 400, "Error: Timed Out", 1),
        (json!({"effect": "400_database"}), 400, "PrismaClientKnownRequestError", 1),
        (json!({"effect": "500_connection_closed"}), 500, "\"Connection Closed\"", 0),
        (json!({"effect": "500_envelope"}), 500, "(reading 'find')", 0),
        (json!({"effect": "401"}), 401, "Unauthorized", 0),
        (json!({"effect": "404"}), 404, "instance does not exist", 0),
        (json!({"effect": "502_html"}), 502, "<html>", 0),
        (json!({"effect": "502_html", "left": true}), 502, "<html>", 1),
        (json!({"effect": "503_license"}), 503, "LICENSE_REQUIRED", 0),
        (json!({"effect": "201_empty"}), 201, "", 1),
        (json!({"effect": "201_empty", "left": false}), 201, "", 0),
        (json!({"latency_ms": 1}), 201, "PENDING", 1),
    ];
    for (fault, status, part, left) in cases {
        running.sandbox.clear_ledger();
        ensure!(set_faults(&running, fault.clone()).await? == 200, "{fault}");
        let (answered, body) = send(&running, message()).await?;
        ensure!(answered == status && body.contains(part), "{fault}: {answered} {body}");
        ensure!(!part.is_empty() || body.is_empty(), "{fault}: {body}");
        ensure!(running.sandbox.ledger().len() == left, "{fault}");
    }
    running.stop().await
}

#[tokio::test]
async fn lost_reply_closes_the_connection_after_the_message_left() -> anyhow::Result<()> {
    let running = matriz().await?;
    set_faults(&running, json!([{"number": "5511988887777", "times": 1, "effect": "reply_lost"}])).await?;
    let lost = send(&running, message()).await;
    ensure!(lost.is_err(), "{lost:?}");
    let (status, _) = send(&running, message()).await?;
    ensure!(status == 201);
    let summary = running.sandbox.ledger_summary();
    ensure!((summary.count, summary.duplicates) == (2, 1), "{summary:?}");
    running.stop().await
}

#[tokio::test]
async fn hanging_request_has_no_answer_until_the_sandbox_stops() -> anyhow::Result<()> {
    let running = matriz().await?;
    set_faults(&running, json!({"effect": "hang", "left": true})).await?;
    let request = running.request("POST /message/sendText/matriz", Some("G"))?.json(&message());
    let hanging = tokio::spawn(request.send());
    until_left(&running, 1).await?;
    ensure!(!hanging.is_finished());
    running.stop().await?;
    ensure!(hanging.await?.is_err());
    Ok(())
}

#[tokio::test]
async fn message_leaves_after_the_caller_has_given_up() -> anyhow::Result<()> {
    let running = matriz().await?;
    let body = json!({"number": "5511988887777", "text": "x", "delay": 300});
    ensure!(timeout(Duration::from_millis(50), send(&running, body)).await.is_err());
    ensure!(running.sandbox.ledger().is_empty());
    until_left(&running, 1).await?;
    running.stop().await
}

#[tokio::test]
async fn concurrent_delays_let_the_shortest_leave_first() -> anyhow::Result<()> {
    let running = matriz().await?;
    let delayed = |text: &str, delay: u64| send(&running, json!({"number": "5511", "text": text, "delay": delay}));
    let started = Instant::now();
    let (first, second, third) = tokio::join!(delayed("P1", 600), delayed("P2", 300), delayed("P3", 0));
    ensure!([first?.0, second?.0, third?.0] == [201; 3]);
    ensure!(started.elapsed() >= Duration::from_millis(600));
    let texts: Vec<_> = running.sandbox.ledger().iter().map(|entry| entry.text.clone()).collect();
    ensure!(texts == ["P3", "P2", "P1"], "{texts:?}");
    running.stop().await
}

#[tokio::test]
async fn find_sees_nothing_hides_stored_messages() -> anyhow::Result<()> {
    let running = matriz().await?;
    send(&running, message()).await?;
    let total = async || -> anyhow::Result<Value> {
        let request = running.request("POST /chat/findMessages/matriz", Some("G"))?.json(&json!({"where": {}}));
        Ok(request.send().await?.json::<Value>().await?["messages"]["total"].clone())
    };
    ensure!(total().await? == 1);
    set_faults(&running, json!({"on": "find", "effect": "find_sees_nothing"})).await?;
    ensure!(total().await? == 0);
    running.request("DELETE /sandbox/faults", None)?.send().await?;
    ensure!(total().await? == 1);
    running.stop().await
}

#[tokio::test]
async fn invalid_fault_is_refused_and_earlier_faults_stay() -> anyhow::Result<()> {
    let running = matriz().await?;
    ensure!(set_faults(&running, json!({"effect": "401"})).await? == 200);
    for fault in [json!({"probability": 2}), json!({"effect": "401", "left": true}), json!({"efect": "401"})] {
        let status = set_faults(&running, fault.clone()).await?;
        ensure!((400..500).contains(&status), "{fault}: {status}");
    }
    ensure!(running.sandbox.faults().len() == 1);
    running.stop().await
}

#[tokio::test]
async fn unknown_instance_is_created_when_the_settings_allow_it() -> anyhow::Result<()> {
    let running = start(Settings { auto_create_instances: true, ..settings() }).await?;
    let (status, _) = send(&running, message()).await?;
    ensure!(status == 201);
    let other_key = running.request("GET /instance/connectionState/matriz", Some("outra"))?.send().await?;
    ensure!(other_key.status() == 401);
    running.stop().await
}

#[tokio::test]
async fn ledger_is_paged_and_calls_are_counted() -> anyhow::Result<()> {
    let running = matriz().await?;
    for text in ["a", "b", "c"] {
        send(&running, json!({"number": "5531988887777", "text": text})).await?;
    }
    let mut texts = Vec::new();
    let mut after = json!(0);
    while !after.is_null() {
        let call = format!("GET /sandbox/ledger?after={after}&limit=2");
        let page: Value = running.request(&call, None)?.send().await?.json().await?;
        for entry in page["entries"].as_array().into_iter().flatten() {
            ensure!(entry["remoteJid"] == "553188887777@s.whatsapp.net", "{entry}");
            ensure!(entry["left_at"].as_i64() >= entry["received_at"].as_i64(), "{entry}");
            texts.push(entry["text"].clone());
        }
        after = page["next"].clone();
    }
    ensure!(texts == ["a", "b", "c"], "{texts:?}");
    let calls: Value = running.request("GET /sandbox/calls", None)?.send().await?.json().await?;
    ensure!(calls == json!({"POST /message/sendText/{instance}": 3}), "{calls}");
    running.stop().await
}

#[tokio::test]
async fn closed_instance_refuses_sends_until_it_is_open() -> anyhow::Result<()> {
    let running = matriz().await?;
    let state = async |state: &str| -> anyhow::Result<()> {
        let call = "PUT /sandbox/instances/matriz/state";
        let response = running.request(call, None)?.json(&json!({"state": state})).send().await?;
        Ok(response.error_for_status().map(drop)?)
    };
    send(&running, message()).await?;
    state("close").await?;
    let (status, body) = send(&running, message()).await?;
    ensure!(status == 400 && body.contains("Error: Connection Closed"), "{status} {body}");
    let (status, body) = send(&running, json!({"number": "5511900000000", "text": "x"})).await?;
    ensure!(status == 500 && body.contains("Connection Closed"), "{status} {body}");
    state("open").await?;
    ensure!(send(&running, message()).await?.0 == 201);
    running.stop().await
}
