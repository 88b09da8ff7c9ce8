//! A sandbox inside the test process, and a client for it.

use std::time::Duration;

use anyhow::Context;
use regua_sandbox::{Sandbox, Settings};
use reqwest::{Client, Method, RequestBuilder};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Running {
    pub(crate) sandbox: Sandbox,
    base_url: String,
    http: Client,
    shutdown: CancellationToken,
    served: JoinHandle<anyhow::Result<()>>,
}

/// Settings without realistic waits.
pub(crate) fn settings() -> Settings {
    Settings {
        api_key: "G".into(),
        client_name: "evo_local".into(),
        connect_wait: Duration::ZERO,
        seed: Some(1),
        ..Settings::default()
    }
}

pub(crate) async fn start(settings: Settings) -> anyhow::Result<Running> {
    let sandbox = Sandbox::new(settings)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let shutdown = CancellationToken::new();
    let (serving, ending) = (sandbox.clone(), shutdown.clone());
    let served = tokio::spawn(async move { serving.serve(listener, ending).await });
    let http = Client::builder().timeout(PATIENCE).build()?;
    Ok(Running { sandbox, base_url, http, shutdown, served })
}

impl Running {
    /// `call` is a method and a path, such as `POST /message/sendText/evo1`.
    pub(crate) fn request(&self, call: &str, key: Option<&str>) -> anyhow::Result<RequestBuilder> {
        let (method, path) = call.split_once(' ').context("a call is a method and a path")?;
        let request = self.http.request(method.parse::<Method>()?, format!("{}{path}", self.base_url));
        Ok(match key {
            Some(key) => request.header("apikey", key),
            None => request,
        })
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.served).await.context("the sandbox does not stop")??
    }
}
