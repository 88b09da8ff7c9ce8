//! The batches of the ERPs and the controls of their operators. They depend on the seed only. `erp` executes them.

use std::time::Duration;

use fastrand::Rng;
use regua_domain::MessageType;
use serde_json::{Value, json};

use super::instances::{INSTANCES, instance_name, tenant_of};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Control {
    None,
    /// `resume_after` none: the queue is resumed at the end of all faults.
    Pause {
        after: Duration,
        resume_after: Option<Duration>,
    },
    Cancel {
        after: Duration,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) external_id: String,
    pub(crate) tenant: usize,
    pub(crate) instance: usize,
    pub(crate) message_type: MessageType,
    /// Position of the first contact among all contacts of the run.
    pub(crate) first: usize,
    pub(crate) contacts: usize,
    pub(crate) at: Duration,
    /// The ERP closes the connection after this time, perhaps before the answer, and does not repeat the post.
    pub(crate) gives_up_after: Option<Duration>,
    pub(crate) is_repeated: bool,
    pub(crate) control: Control,
}

/// Batches of this number of messages, spread over a time.
pub(crate) fn batches(seed: u64, messages: usize, over: Duration) -> Vec<Batch> {
    // Another seed than that of the schedule, so that each can change without the other.
    let mut rng = Rng::with_seed(seed ^ 0x5EED);
    let size = (messages / 200).clamp(20, 500);
    let count = messages.div_ceil(size);
    (0..count)
        .map(|n| {
            let (first, instance) = (n * size, n % INSTANCES);
            Batch {
                external_id: format!("lote-{n}"),
                tenant: tenant_of(instance),
                instance,
                message_type: MessageType::ALL[rng.usize(..MessageType::ALL.len())],
                first,
                contacts: size.min(messages - first),
                at: over.mul_f64(n as f64 / count as f64),
                gives_up_after: (rng.u8(..20) == 0).then(|| Duration::from_millis(rng.u64(1..400))),
                is_repeated: rng.u8(..10) == 0,
                control: control(&mut rng),
            }
        })
        .collect()
}

fn control(rng: &mut Rng) -> Control {
    let mut seconds = |most: f64| Duration::from_secs_f64(0.2 + most * rng.f64());
    let (after, later) = (seconds(4.0), seconds(10.0));
    match rng.u8(..20) {
        0 | 1 => Control::Pause { after, resume_after: Some(later) },
        2 => Control::Pause { after, resume_after: None },
        3 => Control::Cancel { after },
        _ => Control::None,
    }
}

impl Batch {
    pub(crate) fn body(&self) -> Value {
        let contacts: Vec<_> = (0..self.contacts).map(|n| self.contact(n)).collect();
        json!({ "external_id": self.external_id, "instance": instance_name(self.instance), "contacts": contacts })
    }

    fn contact(&self, n: usize) -> Value {
        json!({
            "external_id": self.contact_id(n), "name": "Maria da Silva", "phone": self.phone(n),
            "due_date": "2026-11-10", "amount": "150.00",
        })
    }

    pub(crate) fn contact_id(&self, n: usize) -> String {
        format!("{}-{n}", self.external_id)
    }

    /// Unique in the run, so that it identifies the contact in the gateway's journal.
    pub(crate) fn phone(&self, n: usize) -> String {
        format!("+55119{:08}", 70_000_000 + self.first + n)
    }
}
