//! The posts of the sandbox to a webhook, compared with the captured posts of Evolution.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use regua_sandbox::{InstanceSettings, InstanceState, Integration, Settings, StatusTimes};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::running::{Running, settings, start};

struct Post {
    path: String,
    headers: HeaderMap,
    body: Value,
}

struct Receiver {
    url: String,
    posts: UnboundedReceiver<Post>,
}

impl Receiver {
    /// Answers the n-th post with the n-th of `answers`, and later ones with 200. 0 means no answer.
    async fn start(answers: &'static [u16]) -> anyhow::Result<Self> {
        let (sender, posts) = unbounded_channel();
        let count = Arc::new(AtomicUsize::new(0));
        let handler = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let (sender, position) = (sender.clone(), count.fetch_add(1, Ordering::SeqCst));
            async move {
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let _ = sender.send(Post { path: uri.path().to_owned(), headers, body });
                match answers.get(position).copied().unwrap_or(200) {
                    0 => std::future::pending().await,
                    status => StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT),
                }
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        Ok(Self { url, posts })
    }

    async fn next(&mut self) -> anyhow::Result<Post> {
        timeout(Duration::from_secs(10), self.posts.recv()).await?.context("the receiver is gone")
    }
}

async fn sandbox(integration: Integration, receiver: &Receiver, webhook: Value) -> anyhow::Result<Running> {
    let instance = InstanceSettings {
        integration,
        number: Some("5511999990000".into()),
        ..InstanceSettings::connected("evo1", "tok-evo1")
    };
    let running = start(Settings {
        instances: vec![instance],
        webhook_timeout: Duration::from_secs(1),
        webhook_wait: Duration::from_millis(5),
        ..settings()
    })
    .await?;
    let mut row = json!({"enabled": true, "url": receiver.url, "events": []});
    for (name, value) in webhook.as_object().into_iter().flatten() {
        row[name] = value.clone();
    }
    let set = running.request("POST /webhook/set/evo1", Some("tok-evo1"))?.json(&json!({"webhook": row}));
    ensure!(set.send().await?.status() == 201);
    Ok(running)
}

async fn send(running: &Running, text: &str) -> anyhow::Result<Value> {
    let body = json!({"number": "5511988887777", "text": text});
    Ok(running.request("POST /message/sendText/evo1", Some("G"))?.json(&body).send().await?.json().await?)
}

#[tokio::test]
async fn send_is_posted_in_the_envelope_with_the_configured_headers() -> anyhow::Result<()> {
    let mut receiver = Receiver::start(&[]).await?;
    let headers = json!({"headers": {"x-our-secret": "s3cr3t", "jwt_key": "k"}, "events": ["SEND_MESSAGE"]});
    let running = sandbox(Integration::Evolution, &receiver, headers).await?;
    let sent = send(&running, "Olá").await?;
    let Post { path, headers, body } = receiver.next().await?;
    ensure!(path == "/hook" && headers["x-our-secret"] == "s3cr3t" && !headers.contains_key("jwt_key"));
    ensure!(body["date_time"].is_string() && body["server_url"].is_string(), "{body}");
    let expected = json!({
        "event": "send.message", "instance": "evo1", "data": sent, "destination": receiver.url,
        "date_time": body["date_time"], "server_url": body["server_url"], "apikey": "tok-evo1",
    });
    ensure!(body == expected, "{body}");
    running.stop().await
}

#[tokio::test]
async fn by_events_appends_the_event_to_the_address() -> anyhow::Result<()> {
    let mut receiver = Receiver::start(&[]).await?;
    let running = sandbox(Integration::Evolution, &receiver, json!({"byEvents": true})).await?;
    send(&running, "Olá").await?;
    ensure!(receiver.next().await?.path == "/hook/send-message");
    running.stop().await
}

#[tokio::test]
async fn event_is_posted_again_after_a_500_or_no_answer() -> anyhow::Result<()> {
    let mut receiver = Receiver::start(&[500, 0]).await?;
    let running = sandbox(Integration::Evolution, &receiver, json!({})).await?;
    send(&running, "Olá").await?;
    let first = receiver.next().await?.body;
    ensure!(receiver.next().await?.body == first);
    ensure!(receiver.next().await?.body == first);
    running.stop().await
}

#[tokio::test]
async fn event_is_not_posted_again_after_a_400() -> anyhow::Result<()> {
    let mut receiver = Receiver::start(&[400]).await?;
    let running = sandbox(Integration::Evolution, &receiver, json!({})).await?;
    send(&running, "perdida").await?;
    ensure!(receiver.next().await?.body["data"]["message"]["conversation"] == "perdida");
    send(&running, "entregue").await?;
    ensure!(receiver.next().await?.body["data"]["message"]["conversation"] == "entregue");
    running.stop().await?;
    ensure!(receiver.posts.try_recv().is_err());
    Ok(())
}

#[tokio::test]
async fn statuses_are_posted_with_the_key_id_and_stored() -> anyhow::Result<()> {
    let mut receiver = Receiver::start(&[]).await?;
    let running = sandbox(Integration::Baileys, &receiver, json!({"events": ["MESSAGES_UPDATE"]})).await?;
    running.sandbox.set_statuses(StatusTimes { delivery_ack_ms: Some(1), read_ms: Some(40) });
    let sent = send(&running, "Olá").await?;
    for status in ["DELIVERY_ACK", "READ"] {
        let body = receiver.next().await?.body;
        ensure!(body["event"] == "messages.update" && body["sender"] == "5511999990000@s.whatsapp.net", "{body}");
        ensure!(body["data"]["keyId"] == sent["key"]["id"] && body["data"]["status"] == status, "{body}");
    }
    let find = json!({"where": {"id": sent["key"]["id"]}});
    let rows: Value =
        running.request("POST /chat/findStatusMessage/evo1", Some("G"))?.json(&find).send().await?.json().await?;
    ensure!(rows[0]["status"] == "DELIVERY_ACK" && rows[1]["status"] == "READ", "{rows}");
    running.stop().await
}

#[tokio::test]
async fn change_of_state_is_posted() -> anyhow::Result<()> {
    let mut receiver = Receiver::start(&[]).await?;
    let running = sandbox(Integration::Baileys, &receiver, json!({"events": ["CONNECTION_UPDATE"]})).await?;
    ensure!(running.sandbox.set_state("evo1", InstanceState::Close));
    let body = receiver.next().await?.body;
    ensure!(body["data"] == json!({"instance": "evo1", "state": "close", "statusReason": 428}), "{body}");
    ensure!(running.sandbox.set_state("evo1", InstanceState::Open));
    let body = receiver.next().await?.body;
    ensure!(body["data"]["state"] == "open" && body["data"]["wuid"] == "5511999990000@s.whatsapp.net", "{body}");
    running.stop().await
}

#[tokio::test]
async fn omitted_fields_keep_their_values_and_unknown_events_are_refused() -> anyhow::Result<()> {
    let receiver = Receiver::start(&[]).await?;
    let running = sandbox(Integration::Evolution, &receiver, json!({"headers": {"x-our-secret": "s3cr3t"}})).await?;
    let set = async |webhook: Value| -> anyhow::Result<(u16, Value)> {
        let request = running.request("POST /webhook/set/evo1", Some("G"))?.json(&json!({"webhook": webhook}));
        let response = request.send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    };
    let (status, row) = set(json!({"events": ["SEND_MESSAGE"]})).await?;
    ensure!(status == 201 && row["url"] == receiver.url && row["headers"]["x-our-secret"] == "s3cr3t", "{row}");
    let found: Value = running.request("GET /webhook/find/evo1", Some("G"))?.send().await?.json().await?;
    ensure!(found == row, "{found}");
    ensure!(set(json!({"events": ["SENT"]})).await?.0 == 400);
    ensure!(set(json!({"enabled": true})).await?.0 == 400);
    running.stop().await
}
