//! The user's own second factor: set up with a seed, and active after the first code.

use anyhow::Context as _;
use regua_secrets::Place;
use regua_store::{access, users};

use super::me::{audit, verify_current_password};
use crate::credentials::totp::{RecoveryCodes, SecondFactor};
use crate::routes::kit::*;

body! {
    pub(super) struct ProofRequest {
        current: Line<1, 128>,
    }
}

body! {
    pub(super) struct CodeRequest {
        #[example = "287082"]
        code: Line<6, 6>,
    }
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
    post, path = "/totp", request_body = ProofRequest,
    responses((status = 200, description = "The seed", body = TotpSeed))
)]
pub(super) async fn begin_totp(access: Access<Read>, Valid(body): Valid<ProofRequest>) -> Answer<TotpSeed> {
    let (user, context) = (access.logged_in_user()?, &access.context);
    let credentials = verify_current_password(&access, user, body.current).await?;
    if credentials.totp_confirmed {
        return Err(Problem::conflict(Text::of("totp-already-set")));
    }
    let factor = SecondFactor::generate()?;
    let sealed =
        context.secrets.seal(&Place::totp_seed(user.home, user.id), &factor.seed()).map_err(Problem::internal)?;
    let mut transaction = access::begin(&context.pool, user.home).await?;
    let now = context.clock.now();
    if !users::set_totp(&mut transaction, user.home, &credentials, Some(sealed.as_str()), None, &[], now).await? {
        return Err(Problem::conflict(Text::of("totp-concurrent-change")));
    }
    transaction.commit().await?;
    let url = factor.url(&access.name).context("no URL for the seed")?;
    Ok(Json(TotpSeed { secret: factor.seed(), url }))
}

/// Confirms the second factor with a code: every later login needs one. The answer has the recovery codes.
#[utoipa::path(
    put, path = "/totp", request_body = CodeRequest,
    responses((status = 200, description = "Confirmed", body = Recovery))
)]
pub(super) async fn confirm_totp(access: Access<Read>, Valid(body): Valid<CodeRequest>) -> Answer<Recovery> {
    let (user, context) = (access.logged_in_user()?, &access.context);
    let now = context.clock.now();
    let mut transaction = access::begin(&context.pool, user.home).await?;
    let conn = &mut *transaction;
    let credentials = users::credentials(conn, user.home, &access.name).await?;
    let credentials = credentials.ok_or_else(|| Problem::of(Code::NotAuthenticated))?;
    if credentials.totp_confirmed {
        return Err(Problem::conflict(Text::of("totp-already-set")));
    }
    let sealed = credentials.totp_seed.clone().ok_or_else(|| Problem::conflict(Text::of("totp-not-begun")))?;
    let seed = context.secrets.open(&Place::totp_seed(user.home, user.id), &sealed).map_err(Problem::internal)?;
    let step = SecondFactor::parse(&seed).and_then(|factor| factor.step_of(&body.code, now.timestamp()));
    let step = step.ok_or_else(|| wrong_code(&access))?;
    let codes = RecoveryCodes::generate()?;
    if !users::set_totp(conn, user.home, &credentials, Some(&sealed), Some(step), &codes.hashes, now).await? {
        return Err(Problem::conflict(Text::of("totp-concurrent-change")));
    }
    audit(conn, &access, user, "totp.set", now).await?;
    transaction.commit().await?;
    Ok(Json(Recovery { recovery_codes: codes.texts }))
}

/// Removes the second factor.
#[utoipa::path(
    delete, path = "/totp", request_body = ProofRequest, responses((status = 204, description = "Removed"))
)]
pub(super) async fn remove_totp(access: Access<Read>, Valid(body): Valid<ProofRequest>) -> Done {
    let (user, context) = (access.logged_in_user()?, &access.context);
    let credentials = verify_current_password(&access, user, body.current).await?;
    let now = context.clock.now();
    let mut transaction = access::begin(&context.pool, user.home).await?;
    if !users::set_totp(&mut transaction, user.home, &credentials, None, None, &[], now).await? {
        return Err(Problem::conflict(Text::of("totp-concurrent-change")));
    }
    audit(&mut transaction, &access, user, "totp.removed", now).await?;
    transaction.commit().await?;
    Ok(DONE)
}

fn wrong_code(access: &Principal) -> Problem {
    Problem::field("code", "wrong_code", &Text::of("totp-wrong-code"), access.language)
}
