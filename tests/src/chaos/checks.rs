//! The invariants that hold after every run. Each check covers all rows.

mod accepted;
mod obedient;
mod recovered;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::erp::{AnsweredStop, PostedBatch};
use super::faults::Fault;
use super::inject::InjectedFault;
use super::instances::{CLOSED_SLUG, instance_name};
use super::records::{Contact, Records, SentMessage};
use super::report::Check;

/// The reasons of an unknown outcome.
const UNKNOWN_REASONS: &[&str] = &[
    "no_answer",
    "bad_gateway",
    "unrecognised",
    "success_without_id",
    "write_timed_out",
    "gateway_database",
    "never_authenticated",
    "worker_lost",
];

/// The time of the last look for a message, in milliseconds after it left. A blind findMessages matters only then.
const LAST_LOOK: std::ops::Range<i64> = 10_000..35_000;

/// The input of the checks.
pub(crate) struct RunData<'a> {
    pub(crate) records: &'a Records,
    pub(crate) posted: &'a [PostedBatch],
    pub(crate) stops: &'a [AnsweredStop],
    pub(crate) injected: &'a [InjectedFault],
    /// Messages a minute of each instance.
    pub(crate) rate: usize,
    /// Duration of a lease, in milliseconds.
    pub(crate) lease: i64,
    /// Recovery times are not checked.
    pub(crate) is_shared_machine: bool,
}

pub(crate) fn all(run: &RunData) -> Vec<Check> {
    vec![
        accepted::accepted_is_stored(run),
        accepted::all_or_nothing(run),
        run.once(),
        run.overdue_once(),
        run.sent_has_left(),
        run.unsent_has_not_left(),
        run.unconfirmed_is_unknown(),
        run.no_contact_is_open(),
        run.nothing_is_left(),
        obedient::hours(run),
        obedient::stops(run),
        obedient::rate(run),
        recovered::soon(run),
    ]
}

pub(crate) fn counts(run: &RunData) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut add = |what: String, count: usize| *counts.entry(what).or_insert(0) += count as u64;
    for contact in &run.records.contacts {
        add(format!("contacts {}", contact.status), 1);
        add("contacts sent again".to_owned(), usize::from(contact.resends > 0));
        add("second messages to a contact".to_owned(), run.sent(&contact.phone).len().saturating_sub(1));
    }
    for sent in run.records.sent.values() {
        add("messages that left".to_owned(), sent.len());
    }
    for attempt in run.records.attempts.values().flatten() {
        add("attempts".to_owned(), 1);
        let was_unknown = attempt.outcome.as_deref() == Some("unknown") || attempt.settled_by.is_some();
        if was_unknown {
            add("attempts of unknown outcome".to_owned(), 1);
            let settled_by = attempt.settled_by.as_deref().unwrap_or("nothing");
            add(format!("unknown outcomes settled by {settled_by}"), 1);
        }
    }
    add("batches accepted".to_owned(), run.posted.iter().filter(|posted| posted.queue.is_some()).count());
    add("batches replayed".to_owned(), run.posted.iter().filter(|posted| posted.was_replayed).count());
    add("batches never answered".to_owned(), run.posted.iter().filter(|posted| posted.queue.is_none()).count());
    add("pauses and cancels answered".to_owned(), run.stops.len());
    counts
}

impl RunData<'_> {
    fn sent(&self, phone: &str) -> &[SentMessage] {
        self.records.sent.get(phone).map_or(&[], Vec::as_slice)
    }

    fn once(&self) -> Check {
        let mut check =
            Check::new("once", "a contact has one message, or two if the first was invisible and a resend is allowed");
        for contact in &self.records.contacts {
            let sent = self.sent(&contact.phone);
            let is_resend = contact.resends == 1 && sent.len() == 2 && self.was_invisible(contact, &sent[0]);
            let holds = sent.len() <= 1 || is_resend;
            check.record((!holds).then(|| self.describe(contact)));
        }
        check
    }

    fn overdue_once(&self) -> Check {
        let mut check = Check::new("once", "an overdue contact has one message and is never resent");
        for contact in self.records.contacts.iter().filter(|contact| contact.message_type == "overdue") {
            let holds = self.sent(&contact.phone).len() <= 1 && contact.resends == 0;
            check.record((!holds).then(|| self.describe(contact)));
        }
        check
    }

    /// Whether the gateway's history lacked the message at the last look for it.
    fn was_invisible(&self, contact: &Contact, sent: &SentMessage) -> bool {
        !sent.is_stored
            || self.injected.iter().any(|injected| {
                let is_blind = match &injected.fault {
                    Fault::Blind(None) => true,
                    Fault::Blind(Some(instance)) => instance_name(*instance) == contact.instance,
                    _ => false,
                };
                is_blind
                    && injected.began < sent.left_at + LAST_LOOK.end
                    && injected.ended > sent.left_at + LAST_LOOK.start
            })
    }

    fn sent_has_left(&self) -> Check {
        let mut check = Check::new("true", "sent: the message left with the stored id");
        for contact in self.records.contacts.iter().filter(|contact| contact.status == "sent") {
            let ids: HashSet<_> = self.sent(&contact.phone).iter().map(|sent| sent.message_id.as_str()).collect();
            let holds = contact.message_id.as_deref().is_some_and(|id| ids.contains(id));
            check.record((!holds).then(|| self.describe(contact)));
        }
        check
    }

    fn unsent_has_not_left(&self) -> Check {
        let mut check = Check::new("true", "failed, skipped, cancelled, pending: no message left");
        let is_unsent = |contact: &&Contact| ["failed", "skipped", "cancelled", "pending"].contains(&&*contact.status);
        for contact in self.records.contacts.iter().filter(is_unsent) {
            check.record((!self.sent(&contact.phone).is_empty()).then(|| self.describe(contact)));
        }
        check
    }

    fn unconfirmed_is_unknown(&self) -> Check {
        let mut check = Check::new("true", "unconfirmed: the outcome is unknown, and the message was invisible");
        for contact in self.records.contacts.iter().filter(|contact| contact.status == "unconfirmed") {
            let attempts = self.records.attempts.get(&contact.phone).map_or(&[][..], Vec::as_slice);
            let has_reason = attempts.iter().any(|attempt| {
                let is_listed = |reason: &str| UNKNOWN_REASONS.contains(&reason);
                attempt.outcome.as_deref() == Some("unknown") && attempt.reason.as_deref().is_some_and(is_listed)
            });
            let was_visible = self.sent(&contact.phone).iter().any(|sent| !self.was_invisible(contact, sent));
            check.record((!has_reason || was_visible).then(|| self.describe(contact)));
        }
        check
    }

    fn no_contact_is_open(&self) -> Check {
        let mut check = Check::new("complete", "no contact is pending or sending, except outside of business hours");
        for contact in &self.records.contacts {
            let is_open = contact.status == "sending" || contact.status == "pending" && !waits_for_hours(contact);
            check.record(is_open.then(|| self.describe(contact)));
        }
        check
    }

    fn nothing_is_left(&self) -> Check {
        let mut check =
            Check::new("complete", "no doorbell, lease, running attempt or look is left, and the counts are right");
        for (what, count) in &self.records.leftovers {
            check.record((*count != 0).then(|| format!("{count} {what}")));
        }
        check
    }

    fn describe(&self, contact: &Contact) -> String {
        let begun = self.injected.first().map_or(0, |injected| injected.began);
        let attempts = self.records.attempts.get(&contact.phone).map_or(&[][..], Vec::as_slice);
        let attempts: Vec<_> = attempts
            .iter()
            .map(|attempt| {
                let (from, to) = (attempt.started_at - begun, attempt.finished_at.map(|at| at - begun));
                format!("{from}..{to:?} {:?} {:?} {:?}", attempt.outcome, attempt.reason, attempt.settled_by)
            })
            .collect();
        let left: Vec<_> =
            self.sent(&contact.phone).iter().map(|sent| (sent.left_at - begun, sent.is_stored)).collect();
        let Contact { tenant, external_id, message_type, status, reason, resends, instance, .. } = contact;
        format!(
            "{tenant} {instance} {message_type} {external_id}: {status} {reason:?}, resends {resends}, left at {left:?} \
             (ms, stored), attempts {attempts:?}"
        )
    }
}

/// Whether the contact waits for business hours, which do not begin during the run.
fn waits_for_hours(contact: &Contact) -> bool {
    contact.tenant == CLOSED_SLUG && contact.message_type != "notification" && contact.queue_status == "paused_hours"
}

fn group_by<'a, K: std::hash::Hash + Eq>(
    contacts: &'a [Contact],
    key: impl Fn(&'a Contact) -> K,
) -> HashMap<K, Vec<&'a Contact>> {
    let mut groups: HashMap<K, Vec<_>> = HashMap::new();
    for contact in contacts {
        groups.entry(key(contact)).or_default().push(contact);
    }
    groups
}
