//! Campaigns: posting batches, reading their progress, and controlling their queues.

mod contact;
mod contacts;
mod queue;
mod queues;
pub(crate) mod send;

use utoipa_axum::router::OpenApiRouter;

use crate::context::Context;

pub(super) fn router() -> OpenApiRouter<Context> {
    let queues = queue::router().merge(contacts::router()).merge(queues::router());
    send::router().merge(queues).merge(contact::router())
}
