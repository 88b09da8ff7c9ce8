//! Table `campaigns`: the accepted batches. Its unique key refuses the replay of a batch.

pub mod attempts;
pub mod contacts;
pub mod evidence;
pub mod queues;
pub mod templates;
mod traces;
pub mod type_defaults;

pub use traces::{find_remarks, remove_traces};
