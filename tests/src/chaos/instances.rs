//! The tenants and instances of a run: three tenants that send at every hour, and one that is closed during the run.

pub(crate) const TENANTS: usize = 4;

/// The tenant whose hours are closed.
pub(crate) const CLOSED: usize = TENANTS - 1;

/// The tenant whose gateway posts webhooks.
pub(crate) const WITH_WEBHOOKS: usize = 0;

const INSTANCES_OF_TENANTS: [usize; TENANTS] = [7, 7, 7, 3];

pub(crate) const SLUGS: [&str; TENANTS] = ["norte", "sul", "leste", CLOSED_SLUG];

pub(crate) const CLOSED_SLUG: &str = "fechado";

pub(crate) const INSTANCES: usize = 24;

/// The name of an instance, which no other tenant has.
pub(crate) fn instance_name(instance: usize) -> String {
    format!("numero-{instance:02}")
}

pub(crate) fn tenant_of(instance: usize) -> usize {
    let mut first_of_next = 0;
    INSTANCES_OF_TENANTS
        .iter()
        .position(|count| {
            first_of_next += count;
            instance < first_of_next
        })
        .expect("an instance of a tenant")
}

pub(crate) fn instances_of(tenant: usize) -> impl Iterator<Item = usize> {
    (0..INSTANCES).filter(move |instance| tenant_of(*instance) == tenant)
}
