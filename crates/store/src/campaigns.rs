//! Table `campaigns`: the accepted batches. Its unique key refuses the replay of a batch.

pub mod attempts;
mod batch_plan;
pub mod contacts;
mod create;
pub mod evidence;
pub mod queues;
pub mod templates;
mod traces;
pub mod type_defaults;

pub use batch_plan::{AcceptedBatch, BatchPlan, BatchRequest, plan_batch};
pub use create::{NewCampaign, create};
pub use traces::{find_remarks, remove_traces};
