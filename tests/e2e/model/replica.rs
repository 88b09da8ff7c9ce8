//! A replica of periodic that looks for attempts of unknown outcome, step by step, and the check of its resends.

use std::collections::VecDeque;

use anyhow::ensure;
use regua_domain::MessageType;
use regua_evolution::LookResult;
use regua_periodic::harness::ManualPeriodic;
use regua_store::attempts::UnknownAttempt;

use super::case::Case;
use super::defects::{self, Defect};

/// Looks of the schedule. Only after the last one found nothing may the policy resend.
pub(super) const LOOKS: u32 = 2;

/// A replica, and the attempts in its memory.
pub(super) struct ReplicaState {
    pub(super) replica: ManualPeriodic,
    pub(super) attempts: VecDeque<(UnknownAttempt, Option<LookResult>)>,
}

impl ReplicaState {
    pub(super) const fn new(replica: ManualPeriodic) -> Self {
        Self { replica, attempts: VecDeque::new() }
    }
}

/// The replica's next step. If it fails, the attempt is dropped until it is due again, as in the product.
pub(super) async fn step(case: &mut Case<'_>, n: usize, fails: bool) -> anyhow::Result<()> {
    let Some((attempt, found)) = case.replicas[n].attempts.pop_front() else {
        let due = case.replicas[n].replica.take_due().await?;
        if !due.is_empty() && !fails {
            case.record(format!("replica {n} takes {} to look for", due.len()));
            case.replicas[n].attempts = due.into_iter().map(|attempt| (attempt, None)).collect();
        }
        return Ok(());
    };
    if fails {
        return Ok(());
    }
    let name = format!("contact {}", case.index_of_reference(&attempt.reference));
    match found {
        None if case.defect == Defect::ResendsWithoutLook => {
            case.record(format!("replica {n} resends {name}"));
            let before = resends(case, &attempt).await?;
            defects::resend(case, &attempt).await?;
            check_resend(case, &attempt, before).await
        }
        None => {
            if case.replicas[n].replica.learn_stored_evidence(&attempt).await? {
                case.record(format!("replica {n} finds a stored proof of {name}"));
                return Ok(());
            }
            let found = case.gateway.find(&attempt);
            if found == LookResult::NotFound {
                *case.looks.entry(attempt.key.attempt).or_default() += 1;
            }
            case.record(format!("replica {n} looks for {name}: {found:?}"));
            case.replicas[n].attempts.push_front((attempt, Some(found)));
            Ok(())
        }
        Some(found) => {
            case.record(format!("replica {n} applies its look for {name}"));
            let before = resends(case, &attempt).await?;
            case.replicas[n].replica.apply_look(&attempt, found).await?;
            check_resend(case, &attempt, before).await
        }
    }
}

/// If the step made a resend, checks that the policy allows it.
async fn check_resend(case: &mut Case<'_>, attempt: &UnknownAttempt, before: i16) -> anyhow::Result<()> {
    if resends(case, attempt).await? == before {
        return Ok(());
    }
    let contact = case.index_of_reference(&attempt.reference);
    ensure!(attempt.message_type != MessageType::Overdue, "an overdue contact was sent again without an operator");
    let allowed = case.resends.entry(contact).or_default();
    allowed.0 += 1;
    ensure!(allowed.0 == 1, "contact {contact} was sent again twice by the tenant's policy");
    let looks = case.looks.get(&attempt.key.attempt).copied().unwrap_or(0);
    ensure!(looks >= LOOKS, "contact {contact} was sent again after {looks} looks");
    case.record(format!("contact {contact} is to be resent"));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]
async fn resends(case: &Case<'_>, attempt: &UnknownAttempt) -> anyhow::Result<i16> {
    let query = "select resends from contacts where contact_id = $1";
    Ok(sqlx::query_scalar(query).bind(attempt.key.contact.0).fetch_one(&case.fixture.pool).await?)
}
