//! Configures the sandbox over HTTP: faults, states and webhooks. This module stores the configuration, because a
//! killed sandbox starts without it, unlike a real gateway.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use regua_evolution::{EvolutionClient, InstanceAddress, Token};
use regua_sandbox::{Fault, InstanceState};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Phone numbers with this ending are not on WhatsApp.
const NOT_ON_WHATSAPP: &str = "997";

#[derive(Default)]
struct Configuration {
    faults: BTreeMap<usize, Fault>,
    states: BTreeMap<String, InstanceState>,
    webhooks: Vec<Webhook>,
}

#[derive(Clone)]
pub(crate) struct Webhook {
    pub(crate) instance: String,
    pub(crate) token: String,
    pub(crate) url: String,
    pub(crate) secret: String,
}

pub(crate) struct GatewayControls {
    http: reqwest::Client,
    base: String,
    configuration: Mutex<Configuration>,
    /// Held while the faults are sent, so that an older set does not replace a newer one.
    faults_lock: tokio::sync::Mutex<()>,
}

impl GatewayControls {
    pub(crate) fn new(base: String) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(2)).build().unwrap();
        Self { http, base, configuration: Mutex::default(), faults_lock: tokio::sync::Mutex::default() }
    }

    /// Adds the fault with this id; none removes it.
    pub(crate) async fn set_fault(&self, id: usize, fault: Option<Fault>) {
        {
            let faults = &mut self.configuration.lock().unwrap().faults;
            match fault {
                Some(fault) => drop(faults.insert(id, fault)),
                None => drop(faults.remove(&id)),
            }
        }
        self.put_faults().await;
    }

    pub(crate) async fn set_state(&self, instance: &str, state: InstanceState) {
        self.configuration.lock().unwrap().states.insert(instance.to_owned(), state);
        self.put(&format!("instances/{instance}/state"), &json!({ "state": state })).await;
    }

    /// Adds a webhook, which takes effect at the sandbox's next start.
    pub(crate) fn subscribe(&self, webhook: Webhook) {
        self.configuration.lock().unwrap().webhooks.push(webhook);
    }

    /// Sends the whole configuration to a sandbox that has just started.
    pub(crate) async fn configure(&self) {
        self.put("numbers", &json!({ "not_on_whatsapp_suffixes": [NOT_ON_WHATSAPP] })).await;
        self.put_faults().await;
        let webhooks = self.configuration.lock().unwrap().webhooks.clone();
        for webhook in &webhooks {
            self.put_webhook(webhook).await;
        }
        let states = self.configuration.lock().unwrap().states.clone();
        for (instance, state) in states {
            // The sandbox creates an instance, connected, at the first request; before that it has no state.
            self.put(&format!("instances/{instance}/state"), &json!({ "state": state })).await;
        }
    }

    async fn put_webhook(&self, webhook: &Webhook) {
        let client = EvolutionClient::new(crate::gateway_settings()).unwrap();
        let token = Token::parse(&webhook.token).unwrap();
        let address = InstanceAddress::parse(&self.base, &webhook.instance, token).unwrap();
        let header = ("X-Regua-Webhook-Secret", webhook.secret.as_str());
        while client.set_webhook(&address, &webhook.url, header).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn put_faults(&self) {
        let _lock = self.faults_lock.lock().await;
        let faults: Vec<_> = self.configuration.lock().unwrap().faults.values().cloned().collect();
        self.put("faults", &json!(faults)).await;
    }

    /// Repeats the request for half a minute, because the sandbox may be dead or frozen.
    async fn put(&self, what: &str, body: &Value) {
        for _ in 0..60 {
            if self.http.put(format!("{}/sandbox/{what}", self.base)).json(body).send().await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }
}
