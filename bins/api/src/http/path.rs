//! The id in a path.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use regua_domain::{ApiKeyId, InstanceId, MessageType, QueueId, TemplateId, TenantId, UserId};

use super::error::{Code, Problem};
use super::request::record_field;

/// The only parameter of a path. A text that is not an id is answered like an unknown id.
pub(crate) struct InPath<T>(pub(crate) T);

/// An id in a path.
pub(crate) trait PathId: Sized {
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! path_ids {
    ($($id:ty),+) => {$(
        impl PathId for $id {
            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )+};
}

path_ids! { ApiKeyId, InstanceId, MessageType, TemplateId, TenantId, UserId }

impl PathId for QueueId {
    /// Records the queue in the request's span.
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().inspect(|queue| record_field("queue_id", queue))
    }
}

impl<S: Send + Sync, T: PathId> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await.ok();
        text.and_then(|Path(text)| T::parse(&text)).map(Self).ok_or_else(|| Problem::of(Code::NotFound))
    }
}
