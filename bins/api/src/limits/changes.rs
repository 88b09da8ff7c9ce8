//! Rates of changes: each is an entry of the audit log, which is never deleted, so its growth has a bound. Each process
//! counts its own.

use std::num::NonZeroU32;

use regua_boot::Clock;
use regua_domain::{Rate, TenantId};
use uuid::Uuid;

use super::local::LocalCounts;
use super::refused::{Refusals, Refused};
use super::settings::LimitSettings;
use super::subject::Subject;

pub(crate) struct ChangeRates {
    counts: LocalCounts,
    clock: Clock,
    of_person: Rate,
    of_tenant: Rate,
    refusals: Refusals,
}

impl ChangeRates {
    pub(super) fn new(settings: &LimitSettings, clock: Clock, refusals: Refusals) -> Self {
        let changes = settings.changes_per_minute;
        let half = NonZeroU32::new(changes.get() / 2).unwrap_or(NonZeroU32::MIN);
        Self {
            counts: LocalCounts::default(),
            clock,
            of_person: Rate::with_burst(changes, half),
            of_tenant: Rate::with_burst(changes.saturating_mul(NonZeroU32::MIN.saturating_add(1)), changes),
            refusals,
        }
    }

    /// Counts a change by a user or an API key at a tenant, and refuses it above the rate of either.
    pub(crate) fn admit(&self, person: Uuid, tenant: TenantId) -> Result<(), Refused> {
        let now = self.clock.now().timestamp_micros();
        let person = (Subject::Changes(person), self.of_person, "changes");
        let tenant = (Subject::TenantChanges(tenant), self.of_tenant, "tenants_changes");
        for (subject, rate, layer) in [person, tenant] {
            let check = self.counts.check(subject, rate, now);
            if !check.is_allowed {
                return Err(self.refusals.rate_limited(layer, check.retry_after()));
            }
        }
        Ok(())
    }
}
