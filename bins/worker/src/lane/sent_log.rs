//! The log lines of attempts. Each message that left is one line under a target of its own, which `RUST_LOG` silences.

use regua_domain::{CampaignId, ContactId, InstanceId, MessageType, QueueId, TenantId};
use regua_store::contacts::NextState;

/// The log target of messages that left.
const SENT: &str = "regua::sent";

/// The ids of a posted attempt. The names of the fields in the log are the seed's, to the letter.
#[derive(Clone, Copy)]
pub(super) struct PostedAttempt {
    pub(super) tenant: TenantId,
    pub(super) campaign: CampaignId,
    pub(super) contact: ContactId,
    pub(super) queue: QueueId,
    pub(super) message_type: MessageType,
    pub(super) instance: InstanceId,
}

impl PostedAttempt {
    pub(super) fn log_sent(self) {
        tracing::info!(target: SENT, billing_campaign_id = %self.campaign, billing_contact_id = %self.contact,
            queue_id = %self.queue, template_type = self.message_type.as_str(), instance_id = %self.instance,
            tenant_id = %self.tenant, "a message was sent");
    }

    pub(super) fn log_unsent(self, next: &NextState) {
        tracing::debug!(billing_campaign_id = %self.campaign, billing_contact_id = %self.contact,
            queue_id = %self.queue, template_type = self.message_type.as_str(), instance_id = %self.instance,
            tenant_id = %self.tenant, outcome = next.outcome.as_str(), reason = next.reason, "an attempt was posted");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use regua_boot::{LogArguments, TelemetryFormat, subscriber};
    use uuid::Uuid;

    use super::*;

    /// What the measurement logs in a second of a fast fleet, and how often.
    const EVENTS: u32 = 10_000;
    const ROUNDS: u32 = 20;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn posted() -> PostedAttempt {
        PostedAttempt {
            tenant: Uuid::from_u128(1).into(),
            campaign: Uuid::from_u128(2).into(),
            contact: Uuid::from_u128(3).into(),
            queue: Uuid::from_u128(4).into(),
            message_type: MessageType::Overdue,
            instance: Uuid::from_u128(5).into(),
        }
    }

    fn settings(filter: &str) -> LogArguments {
        LogArguments { format: TelemetryFormat::Json, filter: filter.to_owned() }
    }

    fn logged(filter: &str) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = subscriber(&settings(filter), move || writer.clone(), false);
        tracing::subscriber::with_default(subscriber, || posted().log_sent());
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn sent_message_is_one_line_that_a_filter_silences() {
        let line = logged("info,lapin=off");
        assert_eq!(line.lines().count(), 1, "{line}");
        let id = |n: u128| Uuid::from_u128(n).to_string();
        let fields = [
            ("billing_campaign_id", id(2)),
            ("billing_contact_id", id(3)),
            ("queue_id", id(4)),
            ("template_type", "overdue".to_owned()),
            ("instance_id", id(5)),
            ("target", "regua::sent".to_owned()),
            ("level", "INFO".to_owned()),
        ];
        for (name, value) in fields {
            assert!(line.contains(&format!("\"{name}\":\"{value}\"")), "{name} is missing: {line}");
        }
        assert_eq!(logged("info,lapin=off,regua::sent=off"), "");
        assert_eq!(logged("warn"), "");
    }

    #[test]
    #[ignore = "a measurement, to be run alone and optimised"]
    fn cost_of_sent_messages_in_the_log() {
        for filter in ["info,lapin=off", "info,lapin=off,regua::sent=off"] {
            let subscriber = subscriber(&settings(filter), std::io::sink, false);
            let duration = tracing::subscriber::with_default(subscriber, || {
                let start = Instant::now();
                (0..EVENTS * ROUNDS).for_each(|_| posted().log_sent());
                start.elapsed()
            });
            let each = duration.as_nanos() / u128::from(EVENTS * ROUNDS);
            let busy = 100.0 * duration.as_secs_f64() / f64::from(ROUNDS);
            println!("RUST_LOG={filter}: {each} ns an event, {busy:.2} % of a core at {EVENTS} a second");
        }
    }
}
