//! The gateway's faults and webhooks over HTTP. They are kept here, because a gateway that was killed comes back without
//! them; the real one has its webhooks in a database.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use regua_evolution::{EvolutionClient, InstanceAddress, Token};
use regua_sandbox::{Fault, InstanceState};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Numbers with this end are not on WhatsApp.
pub(crate) const NOT_ON_WHATSAPP: &str = "997";

/// What is wanted of the gateway now.
#[derive(Default)]
struct Wanted {
    faults: BTreeMap<usize, Fault>,
    states: BTreeMap<String, InstanceState>,
    webhooks: Vec<Webhook>,
}

/// Where the events of a number go.
#[derive(Clone)]
pub(crate) struct Webhook {
    pub(crate) instance: String,
    pub(crate) token: String,
    pub(crate) url: String,
    pub(crate) secret: String,
}

/// The gateway's controls.
pub(crate) struct Controls {
    http: reqwest::Client,
    base: String,
    wanted: Mutex<Wanted>,
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl Controls {
    pub(crate) fn at(base: String) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(2)).build().unwrap();
        Self { http, base, wanted: Mutex::default(), one_at_a_time: tokio::sync::Mutex::default() }
    }

    /// Adds a fault under this number; none takes it away.
    pub(crate) async fn set(&self, id: usize, fault: Option<Fault>) {
        {
            let faults = &mut self.wanted.lock().unwrap().faults;
            match fault {
                Some(fault) => drop(faults.insert(id, fault)),
                None => drop(faults.remove(&id)),
            }
        }
        self.tell_faults().await;
    }

    /// Moves a number to a state.
    pub(crate) async fn move_to(&self, instance: &str, state: InstanceState) {
        self.wanted.lock().unwrap().states.insert(instance.to_owned(), state);
        self.put(&format!("instances/{instance}/state"), &json!({ "state": state })).await;
    }

    /// Has the events of a number posted, from the gateway's next start on.
    pub(crate) fn subscribe(&self, webhook: Webhook) {
        self.wanted.lock().unwrap().webhooks.push(webhook);
    }

    /// Tells a gateway that has just started everything.
    pub(crate) async fn tell_all(&self) {
        self.put("numbers", &json!({ "not_on_whatsapp_suffixes": [NOT_ON_WHATSAPP] })).await;
        self.tell_faults().await;
        let webhooks = self.wanted.lock().unwrap().webhooks.clone();
        for webhook in &webhooks {
            self.tell_webhook(webhook).await;
        }
        let states = self.wanted.lock().unwrap().states.clone();
        for (instance, state) in states {
            // It is made, connected, when it is first named; until then it has no state to change.
            self.put(&format!("instances/{instance}/state"), &json!({ "state": state })).await;
        }
    }

    async fn tell_webhook(&self, webhook: &Webhook) {
        let client = EvolutionClient::new(crate::gateway_settings()).unwrap();
        let token = Token::parse(&webhook.token).unwrap();
        let address = InstanceAddress::parse(&self.base, &webhook.instance, token).unwrap();
        let header = ("X-Regua-Webhook-Secret", webhook.secret.as_str());
        while client.set_webhook(&address, &webhook.url, header).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn tell_faults(&self) {
        let _in_order = self.one_at_a_time.lock().await;
        let faults: Vec<_> = self.wanted.lock().unwrap().faults.values().cloned().collect();
        self.put("faults", &json!(faults)).await;
    }

    /// Until it is heard: the gateway may be dead or frozen just now. One that is told nothing in half a minute is told
    /// all when it starts again.
    async fn put(&self, what: &str, body: &Value) {
        for _ in 0..60 {
            if self.http.put(format!("{}/sandbox/{what}", self.base)).json(body).send().await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }
}
