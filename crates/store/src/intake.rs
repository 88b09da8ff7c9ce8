//! Posted batches: one statement reads what a batch is planned with, another one stores it. Both name tables of several
//! areas, because each further statement of a small post is a round trip.

mod batch_plan;
mod create;

pub use batch_plan::{AcceptedBatch, BatchPlan, BatchRequest, plan_batch};
pub use create::{Insertion, NewCampaign, NewContacts, create, insertions};
