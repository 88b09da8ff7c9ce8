//! Request bodies: JSON, read with a limit on size and time. Their memory is part of the tenant's budget. A limit
//! counts the bytes of the unpacked body in UTF-8.

use std::sync::{Arc, OnceLock};

use axum::body::{BodyDataStream, HttpBody};
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, header};
use futures_util::StreamExt;
use regua_domain::TenantId;
use uuid::Uuid;

use super::body_format::BodyFormat;
use super::error::{Code, Problem};
use super::work::compute;
use crate::context::Context;
use crate::limits::{BodyBudget, Permit};

/// The largest body of an admin or auth request: five variations of a template and its schema fit.
const MAX_BYTES: usize = 256 * 1024;
/// The owner of the bodies of unauthenticated requests.
const ANONYMOUS: TenantId = TenantId(Uuid::nil());

/// The tenant whose budgets the body of a request and its answer are part of. Every request has one in its extensions;
/// authentication records the tenant.
#[derive(Clone, Default)]
pub(crate) struct RequestOwner(Arc<OnceLock<TenantId>>);

impl RequestOwner {
    /// Records the tenant of an authenticated request.
    pub(crate) fn record(extensions: &Extensions, tenant: TenantId) {
        if let Some(owner) = extensions.get::<Self>() {
            owner.set(tenant);
        }
    }

    /// Records the tenant.
    pub(crate) fn set(&self, tenant: TenantId) {
        let _is_first = self.0.set(tenant);
    }

    /// Whether the request is authenticated.
    pub(super) fn is_known(&self) -> bool {
        self.0.get().is_some()
    }

    /// The owner for budgets.
    pub(super) fn tenant(&self) -> TenantId {
        self.0.get().copied().unwrap_or(ANONYMOUS)
    }

    /// The owner of a request with these extensions.
    pub(crate) fn of(extensions: &Extensions) -> TenantId {
        extensions.get().map_or(ANONYMOUS, Self::tenant)
    }
}

/// The body of an admin or auth request.
pub(super) async fn read_small(request: Request, context: &Context) -> Result<Vec<u8>, Problem> {
    let (parts, body) = request.into_parts();
    let owner = RequestOwner::of(&parts.extensions);
    let read = read_json(&parts.headers, body.into_data_stream(), context, owner, MAX_BYTES).await?;
    read.map(|(body, _memory)| body).ok_or_else(|| Problem::of(Code::BodyTooLarge))
}

/// A JSON body in UTF-8, and the permit for its memory; none when it is longer than `limit`. A body without a length,
/// or one that arrived compressed, takes memory for `limit` bytes until it is read. The rest of a refused body is
/// discarded.
pub(crate) async fn read_json(
    headers: &HeaderMap,
    mut stream: BodyDataStream,
    context: &Context,
    tenant: TenantId,
    limit: usize,
) -> Result<Option<(Vec<u8>, Permit)>, Problem> {
    let read = receive(headers, &mut stream, context, tenant, limit).await;
    if !matches!(read, Ok(Some(_))) {
        discard(headers, stream, context, tenant);
    }
    read
}

async fn receive(
    headers: &HeaderMap,
    stream: &mut BodyDataStream,
    context: &Context,
    tenant: TenantId,
    limit: usize,
) -> Result<Option<(Vec<u8>, Permit)>, Problem> {
    let format = BodyFormat::of(headers)?;
    if announced_length(headers).is_some_and(|length| length > limit) {
        return Ok(None);
    }
    // The permit of a caller without a valid credential covers its body.
    let is_anonymous = tenant == ANONYMOUS;
    let _receiving = if is_anonymous { None } else { Some(context.limits.requests.receive_body(tenant)?) };
    let announced = announced_length(headers);
    let mut memory = context.limits.bodies.take(tenant, format.memory(announced, limit)).await?;
    let body = Vec::with_capacity(announced.unwrap_or_default());
    let read = tokio::time::timeout(context.settings.body_timeout, read_up_to(stream, body, limit)).await;
    let body = read.map_err(|_| Problem::of(Code::BodyTimeout))??;
    let body = match body {
        // A few kilobytes may unpack to the whole limit.
        Some(body) if !format.is_plain() => {
            let permit = context.limits.computations.wait_small(tenant).await?;
            compute(permit, move |_| format.decode(body, limit)).await??
        }
        body => body,
    };
    Ok(body.map(|body| {
        BodyBudget::shrink(&mut memory, body.len());
        (body, memory)
    }))
}

/// The body, appended to `body`; none when it is longer than `limit`.
async fn read_up_to(stream: &mut BodyDataStream, mut body: Vec<u8>, limit: usize) -> Result<Option<Vec<u8>>, Problem> {
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Problem::of(Code::BodyTimeout))?;
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Reads and discards the rest of a refused body, for as long as an accepted one may take and up to twice its length. A
/// connection that is closed while the client still sends is reset, and the client never sees the answer.
pub(crate) fn discard(headers: &HeaderMap, mut stream: BodyDataStream, context: &Context, tenant: TenantId) {
    // A client that expects `100 Continue` sends no body after a refusal.
    if headers.contains_key(header::EXPECT) || stream.is_end_stream() {
        return;
    }
    let Ok(permit) = context.limits.requests.discard_body(tenant) else { return };
    let (time, mut left) = (context.settings.body_timeout, context.settings.max_body_bytes.saturating_mul(2));
    tokio::spawn(async move {
        let _permit = permit;
        let read_on = async {
            while let Some(Ok(chunk)) = stream.next().await {
                let Some(rest) = left.checked_sub(chunk.len()) else { return };
                left = rest;
            }
        };
        if tokio::time::timeout(time, read_on).await.is_err() {
            tracing::debug!("the rest of a refused body did not arrive in time");
        }
    });
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[tokio::test]
    async fn body_is_read_up_to_the_limit() {
        let stream = || Body::from("12345").into_data_stream();
        assert_eq!(read_up_to(&mut stream(), Vec::new(), 5).await.unwrap().unwrap(), b"12345");
        assert!(read_up_to(&mut stream(), Vec::new(), 4).await.unwrap().is_none());
    }
}
