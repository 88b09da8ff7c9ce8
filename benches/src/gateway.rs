//! The gateway: a sandbox of our own, or one that is given; what left through it, and how much it can take.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::process::{Process, free_port};

/// The key of our sandbox, and the token of every number there.
const TOKEN: &str = "sandbox";
/// A text as long as those that are sent.
const TEXT: &str = "Olá Maria, tudo bem? Identificamos que a fatura de R$ 150,00, com vencimento em 10/11/2026, está em \
    aberto há 11 dias. Se já pagou, desconsidere este aviso. Ref. 7K3F9Q";

/// Where messages go.
pub(crate) struct Gateway {
    /// Its address.
    pub(crate) url: String,
    /// What it is called with.
    pub(crate) token: String,
    /// The one number that it has; none: it has every number that it is asked for.
    pub(crate) number: Option<String>,
    sandbox: Option<Process>,
}

/// A message that left, as the sandbox's ledger tells it.
#[derive(Deserialize)]
pub(crate) struct Departure {
    /// The number it left through.
    pub(crate) instance: String,
    /// The recipient, digits only.
    pub(crate) number: String,
    /// When the request came, in milliseconds since 1970.
    pub(crate) received_at: i64,
    /// When it left, in milliseconds since 1970.
    pub(crate) left_at: i64,
}

#[derive(Deserialize)]
struct Page {
    next: Option<u64>,
    entries: Vec<Departure>,
}

impl Gateway {
    /// The one that `BENCH_GATEWAY` (or `GATEWAY_URL`, with `GATEWAY_TOKEN` and `GATEWAY_INSTANCE`) names, or a sandbox.
    pub(crate) async fn given() -> anyhow::Result<Self> {
        let Ok(url) = std::env::var("BENCH_GATEWAY").or_else(|_| std::env::var("GATEWAY_URL")) else {
            return Self::sandbox().await;
        };
        let token = std::env::var("GATEWAY_TOKEN").unwrap_or_else(|_| TOKEN.to_owned());
        let number = std::env::var("GATEWAY_INSTANCE").ok();
        Ok(Self { url: url.trim_end_matches('/').to_owned(), token, number, sandbox: None })
    }

    /// A sandbox of our own.
    pub(crate) async fn sandbox() -> anyhow::Result<Self> {
        let port = free_port()?;
        let environment = [
            ("SANDBOX_PORT", port.to_string()),
            ("SANDBOX_API_KEY", TOKEN.to_owned()),
            ("SANDBOX_AUTO_CREATE_INSTANCES", "true".to_owned()),
        ];
        let sandbox = Process::start("regua-sandbox", &environment)?;
        let url = format!("http://127.0.0.1:{port}");
        let client = Client::builder().no_proxy().build()?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while client.get(format!("{url}/sandbox/ledger/summary")).send().await.is_err() {
            ensure!(Instant::now() < deadline, "the sandbox does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { url, token: TOKEN.to_owned(), number: None, sandbox: Some(sandbox) })
    }

    /// Processor time of our sandbox so far, in seconds; none where it is not ours.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<Option<f64>> {
        self.sandbox.as_ref().map(Process::cpu_seconds).transpose()
    }

    /// Everything that left, oldest first. Only a sandbox can tell.
    pub(crate) async fn departures(&self) -> anyhow::Result<Vec<Departure>> {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = client.get(format!("{}/sandbox/ledger?after={after}", self.url)).send().await?;
            let page: Page = page.error_for_status()?.json().await.context("the ledger cannot be read")?;
            all.extend(page.entries);
            let Some(next) = page.next else { return Ok(all) };
            after = next;
        }
    }

    /// The limit of sends a second: a loop of reqwest that posts texts and reads the answers, `tasks` at a time, and
    /// writes nothing down.
    pub(crate) async fn bare_loop(&self, tasks: usize, how_long: Duration) -> anyhow::Result<f64> {
        let client = Client::builder().no_proxy().tcp_nodelay(true).timeout(Duration::from_secs(10)).build()?;
        let end = Instant::now() + how_long;
        let mut loops = JoinSet::new();
        for place in 0..tasks {
            let name = self.number.clone().unwrap_or_else(|| format!("bare-{place}"));
            let (client, token) = (client.clone(), self.token.clone());
            let url = format!("{}/message/sendText/{name}", self.url);
            loops.spawn(async move {
                let mut sent = 0_u32;
                while Instant::now() < end {
                    let number = format!("55118{:08}", 60_000_000 + place * 100_000 + sent as usize % 100_000);
                    let body = json!({"number": number, "text": TEXT, "linkPreview": false});
                    let answer = client.post(&url).header("apikey", &token).json(&body).send().await?;
                    ensure!(answer.status() == StatusCode::CREATED, "the gateway answers {}", answer.status());
                    answer.bytes().await?;
                    sent += 1;
                }
                Ok(sent)
            });
        }
        let mut sent = 0.0;
        while let Some(ended) = loops.join_next().await {
            sent += f64::from(ended??);
        }
        Ok(sent / how_long.as_secs_f64())
    }
}
