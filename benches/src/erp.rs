//! An ERP as caller of the API: posts batches, reads the status of queues, and pauses queues.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// One ERP with one persistent connection.
#[derive(Clone)]
pub(crate) struct Erp {
    client: Client,
    url: String,
    api_key: String,
}

impl Erp {
    pub(crate) fn new(url: &str, api_key: &str) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().tcp_nodelay(true).timeout(Duration::from_secs(40)).build()?;
        Ok(Self { client, url: format!("{url}/api/v1/billing"), api_key: api_key.to_owned() })
    }

    /// Posts a batch; returns its queue's id.
    pub(crate) async fn post(&self, body: Vec<u8>) -> anyhow::Result<String> {
        let request = self.client.post(format!("{}/send/overdue", self.url));
        let accepted = self.call(request.header("Content-Type", "application/json").body(body)).await?;
        Ok(accepted["queue_id"].as_str().context("no queue_id")?.to_owned())
    }

    pub(crate) async fn status(&self, queue: &str) -> anyhow::Result<Value> {
        self.call(self.client.get(format!("{}/queue/{queue}/status", self.url))).await
    }

    pub(crate) async fn pause(&self, queue: &str) -> anyhow::Result<()> {
        let request = self.client.post(format!("{}/queue/{queue}/control", self.url));
        self.call(request.json(&json!({"action": "pause"}))).await?;
        Ok(())
    }

    async fn call(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.header("X-Billing-API-Key", &self.api_key).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(matches!(status, StatusCode::OK | StatusCode::ACCEPTED), "the API answers {status}: {text:.300}");
        Ok(serde_json::from_str(&text)?)
    }
}

/// The body of a batch of valid contacts. The phone numbers begin at `first`.
pub(crate) fn batch(external_id: &str, instance: &str, contacts: usize, first: usize) -> Vec<u8> {
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
    let body = json!({"external_id": external_id, "name": "Novembro", "instance": instance, "contacts": contacts});
    body.to_string().into_bytes()
}

/// The phone number of a contact.
pub(crate) fn phone(contact: usize) -> String {
    format!("+55119{:08}", 60_000_000 + contact % 40_000_000)
}
