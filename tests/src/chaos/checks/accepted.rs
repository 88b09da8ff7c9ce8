//! accepted: an accepted batch is stored once, and every stored batch is complete.

use std::collections::HashMap;

use super::{RunData, group_by};
use crate::chaos::instances::SLUGS;
use crate::chaos::report::Check;

pub(super) fn accepted_is_stored(run: &RunData) -> Check {
    let mut check = Check::new("accepted", "every contact of every accepted batch is stored once");
    let stored = group_by(&run.records.contacts, |contact| (contact.tenant.as_str(), contact.batch.as_str()));
    for posted in run.posted {
        let batch = &posted.batch;
        if let Some(unexpected) = &posted.unexpected {
            check.record(Some(format!("{}: {unexpected}", batch.external_id)));
        }
        if posted.queue.is_none() {
            continue;
        }
        let mut times: HashMap<&str, usize> = HashMap::new();
        for contact in stored.get(&(SLUGS[batch.tenant], batch.external_id.as_str())).into_iter().flatten() {
            *times.entry(&contact.external_id).or_default() += 1;
        }
        for n in 0..batch.contacts {
            let id = batch.contact_id(n);
            let times = times.get(id.as_str()).copied().unwrap_or(0);
            check.record((times != 1).then(|| format!("{id} is stored {times} times")));
        }
    }
    check
}

/// This includes batches without an answer.
pub(super) fn all_or_nothing(run: &RunData) -> Check {
    let mut check = Check::new("accepted", "every stored batch was posted and is complete");
    let stored = group_by(&run.records.contacts, |contact| (contact.tenant.as_str(), contact.batch.as_str()));
    let posted: HashMap<_, _> = run
        .posted
        .iter()
        .map(|posted| ((SLUGS[posted.batch.tenant], posted.batch.external_id.as_str()), posted.batch.contacts))
        .collect();
    for (batch, contacts) in stored {
        let is_complete = posted.get(&batch) == Some(&contacts.len());
        check.record((!is_complete).then(|| format!("{batch:?} is stored with {} contacts", contacts.len())));
    }
    check
}
