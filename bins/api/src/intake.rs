//! Turns a posted body into messages: reads the batch, plans it and composes its messages. The route stores the
//! campaign and answers.

pub(crate) mod batch;
pub(crate) mod compose;
mod cpu_time;
mod hours;
pub(crate) mod plan;
