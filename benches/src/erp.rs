//! The caller's side: batches as an ERP posts them, and its looks at a queue and hand on it.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// One ERP with one connection that stays open.
#[derive(Clone)]
pub(crate) struct Erp {
    client: Client,
    url: String,
    key: String,
}

impl Erp {
    /// Speaks to the API at `url` with a key.
    pub(crate) fn new(url: &str, key: &str) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().tcp_nodelay(true).timeout(Duration::from_secs(40)).build()?;
        Ok(Self { client, url: format!("{url}/api/v1/billing"), key: key.to_owned() })
    }

    /// Posts a batch, and returns when it is accepted and durable; its queue's id.
    pub(crate) async fn post(&self, body: Vec<u8>) -> anyhow::Result<String> {
        let request = self.client.post(format!("{}/send/overdue", self.url));
        let accepted = self.ask(request.header("Content-Type", "application/json").body(body)).await?;
        Ok(accepted["queue_id"].as_str().context("no queue_id")?.to_owned())
    }

    /// Asks how a queue is doing.
    pub(crate) async fn status(&self, queue: &str) -> anyhow::Result<Value> {
        self.ask(self.client.get(format!("{}/queue/{queue}/status", self.url))).await
    }

    /// Pauses a queue.
    pub(crate) async fn pause(&self, queue: &str) -> anyhow::Result<()> {
        let request = self.client.post(format!("{}/queue/{queue}/control", self.url));
        self.ask(request.json(&json!({"action": "pause"}))).await?;
        Ok(())
    }

    async fn ask(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.header("X-Billing-API-Key", &self.key).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(matches!(status, StatusCode::OK | StatusCode::ACCEPTED), "the API answers {status}: {text:.300}");
        Ok(serde_json::from_str(&text)?)
    }
}

/// The body of a batch of good contacts for a number. `first` keeps the telephones of batches apart.
pub(crate) fn batch(external_id: &str, number: &str, contacts: usize, first: usize) -> Vec<u8> {
    let contact = |n: usize| {
        json!({
            "external_id": format!("{external_id}-{n}"),
            "name": "Maria da Silva",
            "phone": phone(first + n),
            "due_date": "2026-11-10",
            "amount": "150.00",
        })
    };
    let contacts: Vec<_> = (0..contacts).map(contact).collect();
    let body = json!({"external_id": external_id, "name": "Novembro", "instance": number, "contacts": contacts});
    body.to_string().into_bytes()
}

/// The telephone of a contact.
pub(crate) fn phone(contact: usize) -> String {
    format!("+55119{:08}", 60_000_000 + contact % 40_000_000)
}
