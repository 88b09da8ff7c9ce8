//! A posted JSON body. The caller is authenticated before the body is read.

use axum::body::BodyDataStream;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use regua_domain::Text;

use super::caller::Caller;
use crate::context::Context;
use crate::http::body::{drain, read_json};
use crate::http::{Code, Problem};
use crate::limits::Permit;

/// A caller and the body that it posted.
pub(crate) struct Posted {
    pub(crate) caller: Caller,
    /// The whole body. Its content type is JSON; it is not parsed.
    pub(crate) body: Vec<u8>,
    /// The permit for the body's memory, held until the request ends.
    pub(crate) memory: Option<Permit>,
}

impl FromRequest<Context> for Posted {
    type Rejection = Problem;

    async fn from_request(request: Request, context: &Context) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let mut stream = body.into_data_stream();
        let posted = Self::read(&mut parts, &mut stream, context).await;
        if posted.is_err() && !parts.headers.contains_key(header::EXPECT) {
            drain(stream, context.settings.max_body_bytes);
        }
        posted
    }
}

impl Posted {
    async fn read(parts: &mut Parts, stream: &mut BodyDataStream, context: &Context) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, context).await?;
        let limit = context.settings.max_body_bytes;
        let body = read_json(&parts.headers, stream, context, caller.tenant_id, limit).await?;
        let (body, memory) = body.ok_or_else(|| too_large(limit))?;
        Ok(Self { caller, body, memory: Some(memory) })
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::with_detail(Code::BodyTooLarge, Text::of("batch-body-too-large").with("limit", limit))
}
