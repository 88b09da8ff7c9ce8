//! The events of instances: changes of state, and the posting of events to webhooks with Evolution's retry rules. Retries
//! live in memory and end with the process, as in Evolution.

use std::time::Duration;

use chrono::SecondsFormat;
use serde_json::{Value, json};

use crate::clock::now;
use crate::ids::mix;
use crate::instance::{Instance, InstanceState};
use crate::sandbox::Sandbox;
use crate::settings::Settings;
use crate::webhook::Webhook;

/// Answers after which Evolution never posts the event again.
const NOT_RETRIED: [u16; 5] = [400, 401, 403, 404, 422];
/// The most posts of one event.
const MAX_ATTEMPTS: u32 = 10;
const LONGEST_WAIT: Duration = Duration::from_secs(300);

impl Sandbox {
    /// Moves an instance to a state and posts its connection.update; false when there is no such instance.
    pub fn set_state(&self, instance: &str, state: InstanceState) -> bool {
        let Some(instance) = self.instance(instance) else { return false };
        self.move_to(&instance, state);
        true
    }

    pub(crate) fn move_to(&self, instance: &Instance, state: InstanceState) {
        instance.move_to(state);
        self.announce(instance, state, state.status_reason());
    }

    pub(crate) fn announce(&self, instance: &Instance, state: InstanceState, reason: u16) {
        let Some(name) = state.as_str() else { return };
        self.emit(instance, "connection.update", || {
            let mut data = json!({"instance": instance.name, "state": name, "statusReason": reason});
            if state == InstanceState::Open {
                data["wuid"] = json!(instance.own_jid());
                data["profileName"] = json!(instance.name);
                data["profilePictureUrl"] = json!(null);
            }
            data
        });
    }

    /// Posts an event in the background, if the instance's webhook subscribes to it.
    pub(crate) fn emit(&self, instance: &Instance, event: &'static str, data: impl FnOnce() -> Value) {
        let Some(webhook) = instance.webhook().filter(|webhook| webhook.subscribes_to(event)) else { return };
        let mut envelope = json!({
            "event": event, "instance": instance.name, "data": data(), "destination": webhook.url,
            "date_time": now().to_rfc3339_opts(SecondsFormat::Millis, true),
            "server_url": self.server_url.get(), "apikey": instance.token,
        });
        if let Some(sender) = instance.own_jid() {
            envelope["sender"] = json!(sender);
        }
        let sandbox = self.clone();
        self.spawn_until_shutdown(async move {
            deliver(&sandbox, &webhook, event, &envelope).await;
        });
    }
}

async fn deliver(sandbox: &Sandbox, webhook: &Webhook, event: &str, envelope: &Value) {
    let Settings { webhook_timeout, webhook_wait, .. } = sandbox.settings;
    // Evolution makes a bearer token of `jwt_key`; the sandbox only omits it.
    let headers = webhook.headers.iter().filter(|(name, _)| *name != "jwt_key");
    let request = sandbox.http.post(webhook.url_of(event)).json(envelope).timeout(webhook_timeout);
    let request = headers.fold(request, |request, (name, value)| request.header(name, value));
    for attempt in 1..=MAX_ATTEMPTS {
        let Some(request) = request.try_clone() else { return };
        let answered = {
            let _slot = sandbox.posts.acquire().await;
            request.send().await.map(|response| response.status())
        };
        match answered {
            Ok(status) if status.is_success() => return,
            Ok(status) if NOT_RETRIED.contains(&status.as_u16()) => {
                tracing::debug!(%status, "the receiver refused a webhook; its event is dropped");
                return;
            }
            answered => tracing::debug!(status = ?answered.ok(), attempt, "the receiver did not accept a webhook"),
        }
        tokio::time::sleep(wait_after(attempt, webhook_wait)).await;
    }
}

/// The first wait, doubled with every attempt up to the longest, plus or minus a fifth.
fn wait_after(attempt: u32, first: Duration) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(LONGEST_WAIT);
    let hundredths = 80 + u32::try_from(mix(u64::from(attempt)) % 41).unwrap_or(20);
    doubled * hundredths / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_within_a_fifth() {
        let first = Settings::default().webhook_wait;
        for (attempt, seconds) in [(1, 5.0), (2, 10.0), (3, 20.0), (7, 300.0), (40, 300.0)] {
            let waited = wait_after(attempt, first).as_secs_f64();
            assert!((seconds * 0.8..=seconds * 1.2).contains(&waited), "{attempt}: {waited}");
        }
    }
}
