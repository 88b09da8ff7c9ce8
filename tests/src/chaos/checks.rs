//! What must hold after a run, whatever happened in it. Each check looks at every row it is about.

mod obedient;
mod recovered;
mod told;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::erp::{Order, Posted};
use super::evidence::{Contact, Evidence, Sent};
use super::inject::Injected;
use super::report::Check;
use super::schedule::Fault;
use super::tenants::{CLOSED_SLUG, name_of};

/// Reasons for which nobody can know whether a message left.
const UNKNOWABLE: &[&str] = &[
    "no_answer",
    "bad_gateway",
    "unrecognised",
    "success_without_id",
    "write_timed_out",
    "gateway_database",
    "never_authenticated",
    "worker_lost",
];

/// When the last look for a message comes that the looks before it could not have seen, in milliseconds after it left.
/// A gateway that was blind only before or after that has shown it.
const LAST_LOOK: std::ops::Range<i64> = 10_000..35_000;

/// What a run was told and what it left behind.
pub(crate) struct Case<'a> {
    pub(crate) evidence: &'a Evidence,
    pub(crate) posted: &'a [Posted],
    pub(crate) orders: &'a [Order],
    pub(crate) injected: &'a [Injected],
    /// Messages a minute of every number.
    pub(crate) rate: usize,
    /// A lane's lease, in milliseconds.
    pub(crate) lease: i64,
    /// Times are told and not judged.
    pub(crate) is_shared: bool,
}

/// All checks.
pub(crate) fn all(case: &Case) -> Vec<Check> {
    vec![
        told::accepted(case),
        told::all_or_nothing(case),
        case.once(),
        case.overdue_once(),
        case.sent_has_left(),
        case.unsent_has_not_left(),
        case.unconfirmed_cannot_be_known(),
        case.nothing_under_way(),
        case.nothing_left_over(),
        obedient::hours(case),
        obedient::stops(case),
        obedient::rate(case),
        recovered::soon(case),
    ]
}

/// What happened, for the report.
pub(crate) fn counts(case: &Case) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut add = |what: String, so_many: usize| *counts.entry(what).or_insert(0) += so_many as u64;
    for contact in &case.evidence.contacts {
        add(format!("contacts {}", contact.status), 1);
        add("contacts sent again".to_owned(), usize::from(contact.resends > 0));
        add("messages to somebody who had it already".to_owned(), case.sent(&contact.phone).len().saturating_sub(1));
    }
    for sent in case.evidence.sent.values() {
        add("messages that left".to_owned(), sent.len());
    }
    for attempt in case.evidence.attempts.values().flatten() {
        add("attempts".to_owned(), 1);
        let was_unknown = attempt.outcome.as_deref() == Some("unknown") || attempt.settled_by.is_some();
        if was_unknown {
            add("unconfirmed that arose".to_owned(), 1);
            let settled = attempt.settled_by.as_deref().unwrap_or("nobody");
            add(format!("unconfirmed settled by {settled}"), 1);
        }
    }
    add("batches taken".to_owned(), case.posted.iter().filter(|posted| posted.queue.is_some()).count());
    add("batches answered as taken before".to_owned(), case.posted.iter().filter(|posted| posted.was_replayed).count());
    add("batches never answered".to_owned(), case.posted.iter().filter(|posted| posted.queue.is_none()).count());
    add("pauses and cancels answered".to_owned(), case.orders.len());
    counts
}

impl Case<'_> {
    fn sent(&self, phone: &str) -> &[Sent] {
        self.evidence.sent.get(phone).map_or(&[], Vec::as_slice)
    }

    fn once(&self) -> Check {
        let mut check =
            Check::new("once", "nobody got it twice, unless one resend was allowed and nobody could see the first");
        for contact in &self.evidence.contacts {
            let sent = self.sent(&contact.phone);
            let is_allowed = contact.resends == 1 && sent.len() == 2 && self.could_not_be_seen(contact, &sent[0]);
            let is_fine = sent.len() <= 1 || is_allowed;
            check.look((!is_fine).then(|| self.describe(contact)));
        }
        check
    }

    fn overdue_once(&self) -> Check {
        let mut check = Check::new("once", "overdue is never sent twice, nor again");
        for contact in self.evidence.contacts.iter().filter(|contact| contact.message_type == "overdue") {
            let is_fine = self.sent(&contact.phone).len() <= 1 && contact.resends == 0;
            check.look((!is_fine).then(|| self.describe(contact)));
        }
        check
    }

    /// Whether the gateway's history showed nothing of it while it was looked for.
    fn could_not_be_seen(&self, contact: &Contact, sent: &Sent) -> bool {
        !sent.is_stored
            || self.injected.iter().any(|injected| {
                let concerns = match &injected.fault {
                    Fault::Blind(None) => true,
                    Fault::Blind(Some(number)) => name_of(*number) == contact.instance,
                    _ => false,
                };
                concerns
                    && injected.began < sent.left_at + LAST_LOOK.end
                    && injected.ended > sent.left_at + LAST_LOOK.start
            })
    }

    fn sent_has_left(&self) -> Check {
        let mut check = Check::new("true", "sent: it has left, under the id that is noted");
        for contact in self.evidence.contacts.iter().filter(|contact| contact.status == "sent") {
            let ids: HashSet<_> = self.sent(&contact.phone).iter().map(|sent| sent.message_id.as_str()).collect();
            let is_fine = contact.message_id.as_deref().is_some_and(|id| ids.contains(id));
            check.look((!is_fine).then(|| self.describe(contact)));
        }
        check
    }

    fn unsent_has_not_left(&self) -> Check {
        let mut check = Check::new("true", "failed, skipped, cancelled, pending: it has not left");
        let claims_so = |contact: &&Contact| ["failed", "skipped", "cancelled", "pending"].contains(&&*contact.status);
        for contact in self.evidence.contacts.iter().filter(claims_so) {
            check.look((!self.sent(&contact.phone).is_empty()).then(|| self.describe(contact)));
        }
        check
    }

    fn unconfirmed_cannot_be_known(&self) -> Check {
        let mut check = Check::new("true", "unconfirmed: nobody can know, and the gateway's history never showed it");
        for contact in self.evidence.contacts.iter().filter(|contact| contact.status == "unconfirmed") {
            let attempts = self.evidence.attempts.get(&contact.phone).map_or(&[][..], Vec::as_slice);
            let has_reason = attempts.iter().any(|attempt| {
                let is_known = |reason: &str| UNKNOWABLE.contains(&reason);
                attempt.outcome.as_deref() == Some("unknown") && attempt.reason.as_deref().is_some_and(is_known)
            });
            let was_seen = self.sent(&contact.phone).iter().any(|sent| !self.could_not_be_seen(contact, sent));
            check.look((!has_reason || was_seen).then(|| self.describe(contact)));
        }
        check
    }

    fn nothing_under_way(&self) -> Check {
        let mut check = Check::new("complete", "no contact is pending or sending, except of hours that are closed");
        for contact in &self.evidence.contacts {
            let is_under_way = contact.status == "sending" || contact.status == "pending" && !waits(contact);
            check.look(is_under_way.then(|| self.describe(contact)));
        }
        check
    }

    fn nothing_left_over(&self) -> Check {
        let mut check =
            Check::new("complete", "no doorbell, lease, attempt under way or look is left, and counts are right");
        for (what, count) in &self.evidence.leftovers {
            check.look((*count != 0).then(|| format!("{count} {what}")));
        }
        check
    }

    /// One contact with its history, for whoever asks what went wrong.
    fn describe(&self, contact: &Contact) -> String {
        let begun = self.injected.first().map_or(0, |injected| injected.began);
        let attempts = self.evidence.attempts.get(&contact.phone).map_or(&[][..], Vec::as_slice);
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

/// Whether it waits for an hour that does not come in this run.
fn waits(contact: &Contact) -> bool {
    contact.tenant == CLOSED_SLUG && contact.message_type != "notification" && contact.queue_status == "paused_hours"
}

/// Contacts by what they have in common.
fn grouped<'a, K: std::hash::Hash + Eq>(
    contacts: &'a [Contact],
    key: impl Fn(&'a Contact) -> K,
) -> HashMap<K, Vec<&'a Contact>> {
    let mut groups: HashMap<K, Vec<_>> = HashMap::new();
    for contact in contacts {
        groups.entry(key(contact)).or_default().push(contact);
    }
    groups
}
