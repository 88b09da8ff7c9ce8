//! accepted: what an ERP was told of a batch is so.

use std::collections::HashMap;

use super::{Case, grouped};
use crate::chaos::report::Check;
use crate::chaos::tenants::SLUGS;

/// Every contact of every batch that was answered as taken is there once.
pub(super) fn accepted(case: &Case) -> Check {
    let mut check = Check::new("accepted", "every contact of every batch that was taken is there once");
    let there = grouped(&case.evidence.contacts, |contact| (contact.tenant.as_str(), contact.batch.as_str()));
    for posted in case.posted {
        let batch = &posted.batch;
        if let Some(surprise) = &posted.surprise {
            check.look(Some(format!("{}: {surprise}", batch.external_id)));
        }
        if posted.queue.is_none() {
            continue;
        }
        let mut times: HashMap<&str, usize> = HashMap::new();
        for contact in there.get(&(SLUGS[batch.tenant], batch.external_id.as_str())).into_iter().flatten() {
            *times.entry(&contact.external_id).or_default() += 1;
        }
        for n in 0..batch.contacts {
            let id = batch.contact_id(n);
            let times = times.get(id.as_str()).copied().unwrap_or(0);
            check.look((times != 1).then(|| format!("{id} is there {times} times")));
        }
    }
    check
}

/// A batch that was never answered is there as a whole or not at all, and nothing is there that nobody posted.
pub(super) fn all_or_nothing(case: &Case) -> Check {
    let mut check = Check::new("accepted", "no batch is half there, and none that nobody posted");
    let there = grouped(&case.evidence.contacts, |contact| (contact.tenant.as_str(), contact.batch.as_str()));
    let posted: HashMap<_, _> = case
        .posted
        .iter()
        .map(|posted| ((SLUGS[posted.batch.tenant], posted.batch.external_id.as_str()), posted.batch.contacts))
        .collect();
    for (batch, contacts) in there {
        let is_whole = posted.get(&batch) == Some(&contacts.len());
        check.look((!is_whole).then(|| format!("{batch:?} is there with {} contacts", contacts.len())));
    }
    check
}
