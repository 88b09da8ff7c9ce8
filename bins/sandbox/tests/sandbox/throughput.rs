//! Sends a second of the sandbox, with the client in the same process. Benchmarks of the fleet need 20,000 on two cores.
//! `cargo test --release -p regua-sandbox --test sandbox throughput -- --ignored --nocapture`

use std::time::Duration;

use anyhow::ensure;
use regua_sandbox::{InstanceSettings, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::running::{settings, start};

const CONNECTIONS: usize = 64;
const MEASURED: Duration = Duration::from_secs(5);

/// Sends on one connection until `end`, and counts the answers with status 201.
async fn keep_sending(address: String, lane: usize, end: Instant) -> anyhow::Result<usize> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut answer = [0; 4096];
    for sent in 0.. {
        let body = format!(r#"{{"number":"55119{lane:03}{:05}","text":"Ref. {lane}-{sent}"}}"#, sent % 100_000);
        let head =
            "POST /message/sendText/matriz HTTP/1.1\r\nhost: sandbox\r\napikey: G\r\ncontent-type: application/json";
        let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await?;
        match timeout_at(end, stream.read(&mut answer)).await {
            Ok(read) => ensure!(answer[..read?].starts_with(b"HTTP/1.1 201"), "not a 201"),
            Err(_) => return Ok(sent),
        }
    }
    Ok(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, to be run alone and optimised"]
async fn sends_per_second() -> anyhow::Result<()> {
    let instances = vec![InstanceSettings::connected("matriz", "tok-matriz")];
    let running = start(Settings { instances, ..settings() }).await?;
    let url = running.request("GET /", None)?.build()?.url().clone();
    let address = format!("127.0.0.1:{}", url.port().unwrap_or_default());
    let end = Instant::now() + MEASURED;
    let mut lanes: JoinSet<_> = (0..CONNECTIONS).map(|lane| keep_sending(address.clone(), lane, end)).collect();
    let mut sent = 0;
    while let Some(lane) = lanes.join_next().await {
        sent += lane??;
    }
    let summary = running.sandbox.ledger_summary();
    println!("{:.0} texts a second over {CONNECTIONS} connections", sent as f64 / MEASURED.as_secs_f64());
    ensure!(summary.count >= sent && summary.duplicates == 0, "{summary:?}");
    running.stop().await
}
