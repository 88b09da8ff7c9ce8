//! The sandbox as its clients see it: over HTTP, in a process of the test.

mod captures;
mod faults;
mod journal;
mod running;
mod throughput;
mod webhooks;
