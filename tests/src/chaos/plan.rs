//! What the ERPs post and what their operators do, drawn from the seed: pure. The posting itself is in `erp`.

use std::time::Duration;

use fastrand::Rng;
use regua_domain::MessageType;
use serde_json::{Value, json};

use super::tenants::{NUMBERS, name_of, tenant_of};

/// What an operator does with a batch that was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Control {
    /// Nothing.
    Leave,
    /// Pauses it after a while, and resumes it after another; none: at the end of all faults.
    Pause { after: Duration, resume_after: Option<Duration> },
    /// Cancels it after a while.
    Cancel { after: Duration },
}

/// One batch.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) external_id: String,
    pub(crate) tenant: usize,
    pub(crate) number: usize,
    pub(crate) message_type: MessageType,
    /// The place of its first contact among all of the run.
    pub(crate) first: usize,
    pub(crate) contacts: usize,
    /// When it is posted, from the beginning of the run.
    pub(crate) at: Duration,
    /// Its ERP hangs up after so long, perhaps in the middle of it, and does not try again.
    pub(crate) gives_up_after: Option<Duration>,
    /// It is posted once more after it was taken.
    pub(crate) is_repeated: bool,
    pub(crate) control: Control,
}

/// So many messages in batches, spread over a time.
pub(crate) fn batches(seed: u64, messages: usize, over: Duration) -> Vec<Batch> {
    // Another stream than the faults', so that the one can change without the other.
    let mut rng = Rng::with_seed(seed ^ 0x5EED);
    let size = (messages / 200).clamp(20, 500);
    let count = messages.div_ceil(size);
    (0..count)
        .map(|n| {
            let (first, number) = (n * size, n % NUMBERS);
            Batch {
                external_id: format!("lote-{n}"),
                tenant: tenant_of(number),
                number,
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
        _ => Control::Leave,
    }
}

impl Batch {
    /// The request's body; the same one every time.
    pub(crate) fn body(&self) -> Value {
        let contacts: Vec<_> = (0..self.contacts).map(|n| self.contact(n)).collect();
        json!({ "external_id": self.external_id, "instance": name_of(self.number), "contacts": contacts })
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

    /// No other contact of the run has it, so that what left can be told apart by it.
    pub(crate) fn phone(&self, n: usize) -> String {
        format!("+55119{:08}", 70_000_000 + self.first + n)
    }
}
