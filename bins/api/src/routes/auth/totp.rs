//! The user's own second factor: set up with a seed, and active after the first code.

use anyhow::Context as _;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use regua_domain::Text;
use regua_secrets::Place;
use regua_store::{access, users};
use serde::Serialize;
use utoipa::ToSchema;

use super::me::{audit, verify_current_password};
use crate::callers::Access;
use crate::context::Context;
use crate::credentials::totp::{RecoveryCodes, SecondFactor};
use crate::http::error::UserChangeProblems;
use crate::http::{Code, DONE, Form, JsonBody, Problem};

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
pub(super) struct ProofRequest {
    #[schema(min_length = 1, max_length = 128)]
    current: String,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
pub(super) struct CodeRequest {
    #[schema(example = "287082", min_length = 6, max_length = 6)]
    code: String,
}

/// The seed for the authenticator app. No other answer contains it.
#[derive(Serialize, ToSchema)]
pub(super) struct TotpSeed {
    /// The seed in base32.
    secret: String,
    /// The seed as the content of a QR code.
    url: String,
}

/// Codes for the loss of the telephone; each works once. No other answer contains them.
#[derive(Serialize, ToSchema)]
pub(super) struct Recovery {
    recovery_codes: Vec<String>,
}

/// Begins the set-up of a second factor. Logins need it after `PUT` confirms a code.
#[utoipa::path(
    post, path = "/totp", operation_id = "begin_totp", tag = "auth", security(("bearer" = []), ("session" = [])),
    request_body = ProofRequest, responses((status = 200, description = "The seed", body = TotpSeed), UserChangeProblems)
)]
pub(super) async fn begin(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Json<TotpSeed>, Problem> {
    let user = access.logged_in_user()?;
    let mut form = Form::read(&body, access.language)?;
    let current = form.required_text("current", 128);
    form.finish()?;
    let credentials = verify_current_password(&context, &access, user, current).await?;
    if credentials.totp_confirmed {
        return Err(already_set());
    }
    let factor = SecondFactor::generate()?;
    let sealed =
        context.secrets.seal(&Place::totp_seed(user.home, user.id), &factor.seed()).map_err(Problem::internal)?;
    let mut transaction = access::begin(&context.pool, user.home).await?;
    let now = context.clock.now();
    if !users::set_totp(&mut transaction, user.home, &credentials, Some(sealed.as_str()), None, &[], now).await? {
        return Err(concurrent_change());
    }
    transaction.commit().await?;
    let url = factor.url(&access.name).context("no URL for the seed")?;
    Ok(Json(TotpSeed { secret: factor.seed(), url }))
}

/// Confirms the second factor with a code: every later login needs one. The answer has the recovery codes.
#[utoipa::path(
    put, path = "/totp", operation_id = "confirm_totp", tag = "auth", security(("bearer" = []), ("session" = [])),
    request_body = CodeRequest, responses((status = 200, description = "Confirmed", body = Recovery), UserChangeProblems)
)]
pub(super) async fn confirm(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Json<Recovery>, Problem> {
    let user = access.logged_in_user()?;
    let mut form = Form::read(&body, access.language)?;
    let code = form.required_text("code", 6);
    form.finish()?;
    let now = context.clock.now();
    let mut transaction = access::begin(&context.pool, user.home).await?;
    let conn = &mut *transaction;
    let credentials = users::credentials(conn, user.home, &access.name).await?;
    let credentials = credentials.ok_or_else(|| Problem::of(Code::NotAuthenticated))?;
    if credentials.totp_confirmed {
        return Err(already_set());
    }
    let sealed = credentials.totp_seed.clone().ok_or_else(no_seed)?;
    let seed = context.secrets.open(&Place::totp_seed(user.home, user.id), &sealed).map_err(Problem::internal)?;
    let step = SecondFactor::parse(&seed).and_then(|factor| factor.step_of(&code, now.timestamp()));
    let step = step.ok_or_else(|| wrong_code(&access))?;
    let codes = RecoveryCodes::generate()?;
    if !users::set_totp(conn, user.home, &credentials, Some(&sealed), Some(step), &codes.hashes, now).await? {
        return Err(concurrent_change());
    }
    audit(conn, &access, user, "totp.set", now).await?;
    transaction.commit().await?;
    Ok(Json(Recovery { recovery_codes: codes.texts }))
}

/// Removes the second factor.
#[utoipa::path(
    delete, path = "/totp", operation_id = "remove_totp", tag = "auth", security(("bearer" = []), ("session" = [])),
    request_body = ProofRequest, responses((status = 204, description = "Removed"), UserChangeProblems)
)]
pub(super) async fn remove(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let user = access.logged_in_user()?;
    let mut form = Form::read(&body, access.language)?;
    let current = form.required_text("current", 128);
    form.finish()?;
    let credentials = verify_current_password(&context, &access, user, current).await?;
    let now = context.clock.now();
    let mut transaction = access::begin(&context.pool, user.home).await?;
    if !users::set_totp(&mut transaction, user.home, &credentials, None, None, &[], now).await? {
        return Err(concurrent_change());
    }
    audit(&mut transaction, &access, user, "totp.removed", now).await?;
    transaction.commit().await?;
    Ok(DONE.into_response())
}

fn already_set() -> Problem {
    Problem::with_detail(Code::StateConflict, Text::of("totp-already-set"))
}

fn concurrent_change() -> Problem {
    Problem::with_detail(Code::StateConflict, Text::of("totp-concurrent-change"))
}

fn no_seed() -> Problem {
    Problem::with_detail(Code::StateConflict, Text::of("totp-not-begun"))
}

fn wrong_code(access: &Access) -> Problem {
    Problem::field("code", "wrong_code", &Text::of("totp-wrong-code"), access.language)
}
