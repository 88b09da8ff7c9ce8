//! The body of a person's request: JSON, and small.

use axum::extract::{FromRequest, Request};

use regua_domain::TenantId;
use uuid::Uuid;

use crate::Context;
use crate::error::{Code, Problem};
use crate::posted::read_json;

/// Five variations of a template and its schema fit in.
const LONGEST: usize = 256 * 1024;

/// Whose share of the memory for bodies it takes, where somebody has come in.
#[derive(Clone, Copy)]
pub(super) struct Share(pub(super) TenantId);

/// Whose share it is of those who have not.
const NOBODYS: TenantId = TenantId(Uuid::nil());

/// A body that is said to be JSON. Who sends it was asked before: it is the last of a handler's arguments.
pub(crate) struct JsonBody(pub(crate) Vec<u8>);

impl FromRequest<Context> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, context: &Context) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let share = parts.extensions.get::<Share>().map_or(NOBODYS, |share| share.0);
        let read = read_json(&parts.headers, &mut body.into_data_stream(), context, share, LONGEST).await?;
        read.map(|(body, _place)| Self(body)).ok_or_else(|| Problem::of(Code::BodyTooLarge))
    }
}
