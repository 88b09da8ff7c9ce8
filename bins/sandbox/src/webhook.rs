//! The webhook of an instance as Evolution stores it. `events` posts to it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// The names that `events` may hold, as errors list them: SEND_MESSAGE is the name of the event send.message.
pub(crate) const EVENTS: &str = "APPLICATION_STARTUP,QRCODE_UPDATED,MESSAGES_SET,MESSAGES_UPSERT,MESSAGES_EDITED,MESSAGES_UPDATE,\
    MESSAGES_DELETE,SEND_MESSAGE,SEND_MESSAGE_UPDATE,CONTACTS_SET,CONTACTS_UPSERT,CONTACTS_UPDATE,\
    PRESENCE_UPDATE,CHATS_SET,CHATS_UPSERT,CHATS_UPDATE,CHATS_DELETE,GROUPS_UPSERT,GROUP_UPDATE,\
    GROUP_PARTICIPANTS_UPDATE,CONNECTION_UPDATE,LABELS_EDIT,LABELS_ASSOCIATION,CALL,TYPEBOT_START,\
    TYPEBOT_CHANGE_STATUS,REMOVE_INSTANCE,LOGOUT_INSTANCE,INSTANCE_CREATE,INSTANCE_DELETE,STATUS_INSTANCE";

#[derive(Clone, Default)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) enabled: bool,
    pub(crate) events: Vec<String>,
    pub(crate) by_events: bool,
    pub(crate) base64: bool,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl Webhook {
    pub(crate) fn row(&self, instance_id: &str) -> Value {
        json!({
            "id": self.id, "url": self.url, "headers": self.headers, "enabled": self.enabled, "events": self.events,
            "webhookByEvents": self.by_events, "webhookBase64": self.base64, "createdAt": self.created_at,
            "updatedAt": self.updated_at, "instanceId": instance_id,
        })
    }

    pub(crate) fn subscribes_to(&self, event: &str) -> bool {
        let name = event.replace('.', "_").to_uppercase();
        self.enabled && self.events.contains(&name)
    }

    pub(crate) fn url_of(&self, event: &str) -> String {
        if self.by_events { format!("{}/{}", self.url, event.replace('.', "-")) } else { self.url.clone() }
    }
}
