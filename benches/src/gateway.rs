//! The gateway, a private sandbox or another server: what left through it, and its limit of sends a second.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::process::{Process, cpu_of_family, free_port};

/// The key of the private sandbox, and the token of every instance there.
const TOKEN: &str = "sandbox";
/// As long as the texts of the measures.
const TEXT: &str = "Olá Maria, tudo bem? Identificamos que a fatura de R$ 150,00, com vencimento em 10/11/2026, está em \
    aberto há 11 dias. Se já pagou, desconsidere este aviso. Ref. 7K3F9Q";

pub(crate) struct Gateway {
    pub(crate) url: String,
    pub(crate) token: String,
    /// The gateway's only instance; none where the gateway creates every instance on demand.
    pub(crate) instance: Option<String>,
    sandbox: Option<Process>,
    /// The first process of another server on this machine.
    server: Option<u32>,
}

/// A message in the sandbox's ledger.
#[derive(Deserialize)]
pub(crate) struct Departure {
    pub(crate) instance: String,
    /// The recipient's digits.
    pub(crate) number: String,
    /// The time of the request, in milliseconds since 1970.
    pub(crate) received_at: i64,
    /// The time at which the message left, in milliseconds since 1970.
    pub(crate) left_at: i64,
}

#[derive(Deserialize)]
struct Page {
    next: Option<u64>,
    entries: Vec<Departure>,
}

impl Gateway {
    /// The gateway of `BENCH_GATEWAY` (or `GATEWAY_URL`, with `GATEWAY_TOKEN` and `GATEWAY_INSTANCE`), or a private
    /// sandbox. `BENCH_GATEWAY_PID` is its first process.
    pub(crate) async fn from_environment() -> anyhow::Result<Self> {
        let Ok(url) = std::env::var("BENCH_GATEWAY").or_else(|_| std::env::var("GATEWAY_URL")) else {
            return Self::sandbox().await;
        };
        let token = std::env::var("GATEWAY_TOKEN").unwrap_or_else(|_| TOKEN.to_owned());
        let instance = std::env::var("GATEWAY_INSTANCE").ok();
        let server = std::env::var("BENCH_GATEWAY_PID").ok().map(|pid| pid.parse()).transpose();
        let server = server.context("BENCH_GATEWAY_PID is not a number")?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), token, instance, sandbox: None, server })
    }

    /// A private sandbox.
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
        Ok(Self { url, token: TOKEN.to_owned(), instance: None, sandbox: Some(sandbox), server: None })
    }

    /// Processor time so far, in seconds; none where the gateway's processes are not known.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<Option<f64>> {
        match &self.sandbox {
            Some(sandbox) => sandbox.cpu_seconds().map(Some),
            None => Ok(self.server.and_then(cpu_of_family)),
        }
    }

    /// All messages that left, oldest first. Only a sandbox has this ledger.
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

    /// The limit of sends a second: `tasks` loops that post texts and read the answers with reqwest, and write nothing.
    pub(crate) async fn bare_loop(&self, tasks: usize, duration: Duration) -> anyhow::Result<f64> {
        let client = Client::builder().no_proxy().tcp_nodelay(true).timeout(Duration::from_secs(10)).build()?;
        let end = Instant::now() + duration;
        let mut loops = JoinSet::new();
        for task in 0..tasks {
            let name = self.instance.clone().unwrap_or_else(|| format!("bare-{task}"));
            let (client, token) = (client.clone(), self.token.clone());
            let url = format!("{}/message/sendText/{name}", self.url);
            loops.spawn(async move {
                let mut sent = 0_u32;
                while Instant::now() < end {
                    let number = format!("55118{:08}", 60_000_000 + task * 100_000 + sent as usize % 100_000);
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
        Ok(sent / duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    /// The body that nginx returns with this status.
    fn body(status: u16) -> Value {
        let configuration = include_str!("../gateway.conf");
        let (_, after) = configuration.split_once(&format!("return {status} '")).unwrap();
        serde_json::from_str(after.split_once("';").unwrap().0).unwrap()
    }

    #[test]
    fn nginx_answers_have_the_fields_that_regua_reads() {
        assert_eq!(body(201)["key"]["id"], "$request_id", "each message has an id of its own");
        assert_eq!(body(200)["instance"]["state"], "open");
    }
}
