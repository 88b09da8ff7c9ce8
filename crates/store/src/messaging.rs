//! Instances and their lanes, the workers that hold the leases, doorbells, events and webhook events.

pub mod dead_letters;
pub mod doorbells;
pub mod events;
pub mod instances;
pub mod lanes;
pub mod webhook_events;
pub mod workers;
