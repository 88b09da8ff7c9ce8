//! One instance: its identity, its connection to WhatsApp, its history and its webhook.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::now;
use crate::history::{History, StoredMessage};
use crate::ids::Ids;
use crate::settings::{InstanceSettings, Integration};
use crate::webhook::Webhook;

/// The state of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Connected to WhatsApp.
    Open,
    /// Connecting, or waiting for a QR code to be scanned.
    Connecting,
    /// Not connected.
    Close,
    /// In Evolution's database but not in its memory.
    Absent,
}

impl InstanceState {
    /// The name in connectionState and in events; `None` for an instance that is not loaded.
    pub(crate) const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Open => Some("open"),
            Self::Connecting => Some("connecting"),
            Self::Close => Some("close"),
            Self::Absent => None,
        }
    }

    pub(crate) const fn status_reason(self) -> u16 {
        match self {
            Self::Open | Self::Connecting => 200,
            Self::Close | Self::Absent => 428,
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub(crate) state: InstanceState,
    /// Whether the instance connected since Evolution started; otherwise the client object does not exist.
    pub(crate) ever_connected: bool,
    /// Whether a phone has scanned the QR code.
    pub(crate) authenticated: bool,
}

pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) integration: Integration,
    pub(crate) number: Option<String>,
    pub(crate) history: History,
    pub(crate) webhook: RwLock<Option<Arc<Webhook>>>,
    link: Mutex<Link>,
    created_at: DateTime<Utc>,
}

impl Instance {
    pub(crate) fn new(settings: InstanceSettings, ids: &Ids, stored: Vec<StoredMessage>) -> Self {
        let open = settings.connected || settings.integration == Integration::Evolution;
        let state = if open { InstanceState::Open } else { InstanceState::Close };
        Self {
            id: ids.uuid().to_string(),
            name: settings.name,
            token: settings.token.unwrap_or_else(|| ids.uuid().to_string().to_uppercase()),
            integration: settings.integration,
            number: settings.number,
            history: History::with_rows(stored),
            webhook: RwLock::default(),
            link: Mutex::new(Link { state, ever_connected: open, authenticated: open }),
            created_at: now(),
        }
    }

    pub(crate) fn link(&self) -> Link {
        *self.lock()
    }

    pub(crate) fn move_to(&self, state: InstanceState) {
        let mut link = self.lock();
        link.state = state;
        link.ever_connected |= matches!(state, InstanceState::Open | InstanceState::Connecting);
        link.authenticated |= state == InstanceState::Open;
    }

    pub(crate) fn log_out(&self) {
        *self.lock() = Link { state: InstanceState::Close, ever_connected: true, authenticated: false };
    }

    /// The instance's jid, after a phone has scanned the QR code.
    pub(crate) fn own_jid(&self) -> Option<String> {
        let number = self.number.as_ref().filter(|_| self.integration == Integration::Baileys)?;
        self.link().authenticated.then(|| format!("{number}@s.whatsapp.net"))
    }

    pub(crate) fn webhook(&self) -> Option<Arc<Webhook>> {
        self.webhook.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_webhook(&self, webhook: Webhook) {
        *self.webhook.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(webhook));
    }

    /// The row of fetchInstances, with the token in clear as in Evolution.
    pub(crate) fn row(&self, client_name: &str) -> Value {
        json!({
            "id": self.id, "name": self.name, "connectionStatus": self.link().state.as_str().unwrap_or("close"),
            "ownerJid": self.own_jid(), "profileName": null, "profilePicUrl": null,
            "integration": self.integration.as_str(), "number": self.number, "businessId": null,
            "token": self.token, "clientName": client_name, "disconnectionReasonCode": null,
            "disconnectionObject": null, "disconnectionAt": null, "createdAt": self.created_at,
            "updatedAt": self.created_at, "Chatwoot": null, "Proxy": null, "Rabbitmq": null, "Nats": null,
            "Sqs": null, "Websocket": null, "Setting": settings(),
            "_count": {"Message": self.history.len(), "Contact": 0, "Chat": 0},
        })
    }

    fn lock(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn settings() -> Value {
    json!({
        "rejectCall": false, "msgCall": "", "groupsIgnore": false, "alwaysOnline": false, "readMessages": false,
        "readStatus": false, "syncFullHistory": false, "wavoipToken": "",
    })
}
