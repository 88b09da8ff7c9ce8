//! A posted JSON body: who posts is asked before it is read, and it is read with a bound on size and time.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use regua_domain::TenantId;

use crate::Context;
use crate::auth::Caller;
use crate::error::{Code, Problem};
use crate::limits::{Limits, Part};

/// How long what a refused caller still sends is read and thrown away.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A caller with a body.
pub(crate) struct Posted {
    /// Who posts.
    pub(crate) caller: Caller,
    /// The whole body, said to be JSON.
    pub(crate) body: Vec<u8>,
    /// The memory that it was given, held as long as the request.
    pub(crate) memory: Option<Part>,
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
        let (body, memory) = body.ok_or_else(|| too_large(&caller, limit))?;
        Ok(Self { caller, body, memory: Some(memory) })
    }
}

/// A body that is said to be JSON, with the memory that it holds; none where it is longer than `limit`. What does not say
/// how long it is counts as the longest until it is read.
pub(crate) async fn read_json(
    headers: &HeaderMap,
    stream: &mut BodyDataStream,
    context: &Context,
    tenant: TenantId,
    limit: usize,
) -> Result<Option<(Vec<u8>, Part)>, Problem> {
    if !is_json(headers) {
        return Err(Problem::of(Code::UnsupportedMediaType));
    }
    if announced_length(headers).is_some_and(|length| length > limit) {
        return Ok(None);
    }
    let mut memory = context.limits.memory(tenant, announced_length(headers).unwrap_or(limit)).await?;
    let read = tokio::time::timeout(context.settings.body_timeout, read_up_to(stream, limit)).await;
    let body = read.map_err(|_| Problem::of(Code::BodyTimeout))??;
    Ok(body.map(|body| {
        Limits::shrink(&mut memory, body.len());
        (body, memory)
    }))
}

/// The body; none where it is longer than `limit`.
async fn read_up_to(stream: &mut BodyDataStream, limit: usize) -> Result<Option<Vec<u8>>, Problem> {
    let mut body = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Problem::of(Code::BodyTimeout))?;
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Reads on for a moment: a connection that is closed while the caller still sends is reset, and the caller never sees
/// why it was refused. It has its answer meanwhile, and holds no place among the requests.
fn drain(mut stream: BodyDataStream, most: usize) {
    let read_on = async move {
        let mut left = most.saturating_mul(2);
        while let Some(Ok(chunk)) = stream.next().await {
            let Some(rest) = left.checked_sub(chunk.len()) else { return };
            left = rest;
        }
    };
    tokio::spawn(async {
        if tokio::time::timeout(DRAIN_TIME, read_on).await.is_err() {
            tracing::debug!("a refused body did not end");
        }
    });
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let media_type = text(header::CONTENT_TYPE).and_then(|value| value.split(';').next()).unwrap_or_default();
    let encoding = text(header::CONTENT_ENCODING).unwrap_or("identity");
    media_type.trim().eq_ignore_ascii_case("application/json") && encoding.eq_ignore_ascii_case("identity")
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(caller: &Caller, limit: usize) -> Problem {
    let detail = caller.language.pick(
        format!("O corpo passa de {limit} bytes. Divida os contatos em mais de um lote, cada um com seu external_id."),
        format!("The body is above {limit} bytes. Split the contacts into batches, each with its own external_id."),
    );
    Problem::with_detail(Code::BodyTooLarge, detail)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_body_is_json_by_its_media_type_alone() {
        let json = |pairs: &[(header::HeaderName, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
            is_json(&pairs.collect())
        };
        assert!(json(&[(header::CONTENT_TYPE, "application/json")]));
        assert!(json(&[(header::CONTENT_TYPE, "Application/JSON ; charset=utf-8")]));
        assert!(!json(&[]));
        assert!(!json(&[(header::CONTENT_TYPE, "text/json")]));
        assert!(!json(&[(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")]));
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let stream = || Body::from("12345").into_data_stream();
        assert_eq!(read_up_to(&mut stream(), 5).await.unwrap().unwrap(), b"12345");
        assert!(read_up_to(&mut stream(), 4).await.unwrap().is_none());
    }
}
