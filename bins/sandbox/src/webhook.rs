//! Webhooks: the stored row, the envelope, and delivery with Evolution's retry rules. Retries live in memory only, so
//! a stop loses them, as it does there. What each event carries is decided where it happens.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::clock::now;
use crate::ids::mix;
use crate::instance::Instance;
use crate::sandbox::Sandbox;
use crate::settings::WebhookSettings;

/// The names that `events` may hold; a name such as SEND_MESSAGE stands for the event send.message.
pub(crate) const EVENTS: [&str; 31] = [
    "APPLICATION_STARTUP",
    "QRCODE_UPDATED",
    "MESSAGES_SET",
    "MESSAGES_UPSERT",
    "MESSAGES_EDITED",
    "MESSAGES_UPDATE",
    "MESSAGES_DELETE",
    "SEND_MESSAGE",
    "SEND_MESSAGE_UPDATE",
    "CONTACTS_SET",
    "CONTACTS_UPSERT",
    "CONTACTS_UPDATE",
    "PRESENCE_UPDATE",
    "CHATS_SET",
    "CHATS_UPSERT",
    "CHATS_UPDATE",
    "CHATS_DELETE",
    "GROUPS_UPSERT",
    "GROUP_UPDATE",
    "GROUP_PARTICIPANTS_UPDATE",
    "CONNECTION_UPDATE",
    "LABELS_EDIT",
    "LABELS_ASSOCIATION",
    "CALL",
    "TYPEBOT_START",
    "TYPEBOT_CHANGE_STATUS",
    "REMOVE_INSTANCE",
    "LOGOUT_INSTANCE",
    "INSTANCE_CREATE",
    "INSTANCE_DELETE",
    "STATUS_INSTANCE",
];

/// Answers after which Evolution never posts the event again.
const NOT_RETRIED: [u16; 5] = [400, 401, 403, 404, 422];

/// The stored row of an instance's webhook.
#[derive(Clone)]
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

    fn wants(&self, event: &str) -> bool {
        let name = event.replace('.', "_").to_uppercase();
        self.enabled && self.events.contains(&name)
    }

    fn address(&self, event: &str) -> String {
        if self.by_events { format!("{}/{}", self.url, event.replace('.', "-")) } else { self.url.clone() }
    }
}

/// Posts `event` in the background, if the instance's webhook wants it. `data` is made only then.
pub(crate) fn emit(sandbox: &Sandbox, instance: &Instance, event: &'static str, data: impl FnOnce() -> Value) {
    let Some(webhook) = instance.webhook().filter(|webhook| webhook.wants(event)) else { return };
    let address = webhook.address(event);
    let mut envelope = json!({
        "event": event, "instance": instance.name, "data": data(), "destination": webhook.url,
        "date_time": now().to_rfc3339_opts(SecondsFormat::Millis, true),
        "server_url": sandbox.server_url(), "apikey": instance.token.reveal(),
    });
    if let Some(sender) = instance.own_jid() {
        envelope["sender"] = json!(sender);
    }
    let posting = sandbox.clone();
    sandbox.spawn_until_shutdown(async move {
        deliver(&posting, &address, &webhook.headers, &envelope).await;
    });
}

/// Posts until the receiver took it, refused it for good, or the attempts are used up.
async fn deliver(sandbox: &Sandbox, address: &str, headers: &BTreeMap<String, String>, envelope: &Value) {
    let settings = sandbox.settings().webhooks;
    for attempt in 1..=settings.max_attempts {
        match post(sandbox, address, headers, envelope, settings.timeout).await {
            Some(status) if (200..300).contains(&status) => return,
            Some(status) if NOT_RETRIED.contains(&status) => {
                tracing::debug!(status, "a webhook was refused: the event is gone");
                return;
            }
            status => tracing::debug!(status, attempt, "a webhook was not taken"),
        }
        if attempt < settings.max_attempts {
            tokio::time::sleep(wait_after(attempt, &settings)).await;
        }
    }
}

async fn post(
    sandbox: &Sandbox,
    address: &str,
    headers: &BTreeMap<String, String>,
    envelope: &Value,
    timeout: Duration,
) -> Option<u16> {
    // Evolution turns `jwt_key` into a bearer token instead of sending it; the sandbox only does not send it.
    let own = headers.iter().filter(|(name, _)| *name != "jwt_key");
    let request = sandbox.http().post(address).json(envelope).timeout(timeout);
    let request = own.fold(request, |request, (name, value)| request.header(name, value));
    let _slot = sandbox.post_slot().await;
    request.send().await.ok().map(|response| response.status().as_u16())
}

/// The first wait, doubled with every attempt up to the longest, give or take a fifth.
fn wait_after(attempt: u32, settings: &WebhookSettings) -> Duration {
    let doubled = settings.first_wait.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(settings.longest_wait);
    let fifths = 80 + u32::try_from(mix(u64::from(attempt)) % 41).unwrap_or(20);
    doubled * fifths / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_longest_give_or_take_a_fifth() {
        let settings = WebhookSettings::default();
        for (attempt, seconds) in [(1, 5.0), (2, 10.0), (3, 20.0), (7, 300.0), (40, 300.0)] {
            let waited = wait_after(attempt, &settings).as_secs_f64();
            assert!((seconds * 0.8..=seconds * 1.2).contains(&waited), "{attempt}: {waited}");
        }
    }
}
