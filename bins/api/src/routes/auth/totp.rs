//! One's own second factor: begun with a seed, in force once a code of it was shown.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use regua_boot::Place;
use regua_store::{access, users};
use serde::Serialize;
use utoipa::ToSchema;

use super::own::{note, prove};
use crate::Context;
use crate::error::{Code, DONE, PersonChangeProblems, Problem};
use crate::form::Form;
use crate::people::{Access, JsonBody, RecoveryCodes, SecondFactor};

/// The password, again.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
pub(super) struct ProofRequest {
    #[schema(min_length = 1, max_length = 128)]
    current: String,
}

/// A code of the app.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
pub(super) struct CodeRequest {
    #[schema(example = "287082", min_length = 6, max_length = 6)]
    code: String,
}

/// What the authenticator app is given. It is shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct TotpSeed {
    /// In base32.
    secret: String,
    /// For a QR code.
    url: String,
}

/// Codes for a lost telephone, each good for once. They are shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct Recovery {
    recovery_codes: Vec<String>,
}

/// Begins to set up a second factor. It is not asked for before `PUT` has seen a code of it.
#[utoipa::path(
    post, path = "/totp", operation_id = "begin_totp", tag = "auth", security(("bearer" = []), ("session" = [])),
    request_body = ProofRequest, responses((status = 200, description = "The seed", body = TotpSeed), PersonChangeProblems)
)]
pub(super) async fn begin(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Json<TotpSeed>, Problem> {
    let person = access.somebody()?;
    let mut form = Form::read(&body, access.language)?;
    let current = form.required_text("current", 128);
    form.finish()?;
    let checked = prove(&context, &access, person, current).await?;
    if checked.totp_confirmed {
        return Err(already(&access));
    }
    let factor = SecondFactor::generate().ok_or_else(|| Problem::internal(anyhow::anyhow!("no random numbers")))?;
    let sealed =
        context.secrets.seal(&Place::totp_seed(person.home, person.user), &factor.seed()).map_err(Problem::internal)?;
    let mut transaction = access::begin(&context.pool, person.home).await?;
    let now = context.clock.now();
    if !users::set_totp(&mut transaction, person.home, &checked, Some(sealed.as_str()), None, &[], now).await? {
        return Err(changed_meanwhile(&access));
    }
    transaction.commit().await?;
    let url = factor.url(&access.name).ok_or_else(|| Problem::internal(anyhow::anyhow!("no URL for the seed")))?;
    Ok(Json(TotpSeed { secret: factor.seed(), url }))
}

/// Shows a code: from now on one is asked for at every login. Answers recovery codes.
#[utoipa::path(
    put, path = "/totp", operation_id = "confirm_totp", tag = "auth", security(("bearer" = []), ("session" = [])),
    request_body = CodeRequest, responses((status = 200, description = "In force", body = Recovery), PersonChangeProblems)
)]
pub(super) async fn confirm(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Json<Recovery>, Problem> {
    let person = access.somebody()?;
    let mut form = Form::read(&body, access.language)?;
    let code = form.required_text("code", 6);
    form.finish()?;
    let now = context.clock.now();
    let mut transaction = access::begin(&context.pool, person.home).await?;
    let conn = &mut *transaction;
    let found = users::credentials(conn, person.home, &access.name).await?;
    let found = found.ok_or_else(|| Problem::of(Code::NotAuthenticated))?;
    if found.totp_confirmed {
        return Err(already(&access));
    }
    let sealed = found.totp_seed.clone().ok_or_else(|| not_begun(&access))?;
    let seed = context.secrets.open(&Place::totp_seed(person.home, person.user), &sealed).map_err(Problem::internal)?;
    let step = SecondFactor::parse(&seed).and_then(|factor| factor.step_of(&code, now.timestamp()));
    let step = step.ok_or_else(|| wrong_code(&access))?;
    let codes = RecoveryCodes::generate().ok_or_else(|| Problem::internal(anyhow::anyhow!("no random numbers")))?;
    if !users::set_totp(conn, person.home, &found, Some(&sealed), Some(step), &codes.hashes, now).await? {
        return Err(changed_meanwhile(&access));
    }
    note(conn, &access, person, "totp.set", now).await?;
    transaction.commit().await?;
    Ok(Json(Recovery { recovery_codes: codes.texts }))
}

/// Takes the second factor away.
#[utoipa::path(
    delete, path = "/totp", operation_id = "remove_totp", tag = "auth", security(("bearer" = []), ("session" = [])),
    request_body = ProofRequest, responses((status = 204, description = "Away"), PersonChangeProblems)
)]
pub(super) async fn remove(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let person = access.somebody()?;
    let mut form = Form::read(&body, access.language)?;
    let current = form.required_text("current", 128);
    form.finish()?;
    let checked = prove(&context, &access, person, current).await?;
    let now = context.clock.now();
    let mut transaction = access::begin(&context.pool, person.home).await?;
    if !users::set_totp(&mut transaction, person.home, &checked, None, None, &[], now).await? {
        return Err(changed_meanwhile(&access));
    }
    note(&mut transaction, &access, person, "totp.removed", now).await?;
    transaction.commit().await?;
    Ok(DONE.into_response())
}

fn already(access: &Access) -> Problem {
    let detail = access.language.pick(
        "Já há um segundo fator. Remova-o com DELETE antes de cadastrar outro.",
        "There is a second factor already. Remove it by DELETE before setting up another.",
    );
    Problem::with_detail(Code::StateConflict, detail.to_owned())
}

fn changed_meanwhile(access: &Access) -> Problem {
    let detail =
        access.language.pick("O cadastro mudou enquanto isso. Repita.", "It was changed meanwhile. Repeat it.");
    Problem::with_detail(Code::StateConflict, detail.to_owned())
}

fn not_begun(access: &Access) -> Problem {
    let detail = access.language.pick("Comece com POST neste endereço.", "Begin with POST at this address.");
    Problem::with_detail(Code::StateConflict, detail.to_owned())
}

fn wrong_code(access: &Access) -> Problem {
    let message = access.language.pick(
        "O código não confere. Confira a hora do telefone e envie o código atual.",
        "The code is not right. Check the telephone's time, and send the current code.",
    );
    Problem::field("code", "wrong_code", message.to_owned())
}
