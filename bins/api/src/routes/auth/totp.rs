//! The user's own second factor: set up with a seed, and active after the first code.

use anyhow::Context as _;
use regua_secrets::Place;
use regua_store::users;

use super::login::check_second_factor;
use super::me::{forget_failures, password_permit, verify_current_password};
use crate::credentials::totp::{RecoveryCodes, SecondFactor};
use crate::routes::kit::*;

body! {
    pub(super) struct ProofRequest {
        current: Password<1>,
    }
}

body! {
    pub(super) struct RemovalRequest {
        current: Password<1>,
        /// Six digits of the authenticator app, or a recovery code. Required unless the second factor was only begun.
        code: Option<Line<1, 40>>,
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
    let (id, access) = access.own_account()?;
    let credentials = verify_current_password(&access, &password_permit(&access)?, body.current).await?;
    forget_failures(&access).await?;
    refuse_unless(!credentials.totp_confirmed, Text::of("totp-already-set"))?;
    let factor = SecondFactor::generate()?;
    let place = Place::totp_seed(access.tenant_id, id);
    let sealed = access.context.secrets.seal(&place, &factor.seed()).map_err(Problem::internal)?;
    let work = async |conn: &mut PgConnection, now| {
        let seed = Some(sealed.as_str());
        let is_set = users::set_totp(conn, access.tenant_id, &credentials, seed, None, &[], now).await?;
        refuse_unless(is_set, Text::of("totp-concurrent-change"))
    };
    access.transact(work).await?;
    let url = factor.url(&access.name).context("no URL for the seed")?;
    Ok(Json(TotpSeed { secret: factor.seed(), url }))
}

/// Confirms the second factor with a code: every later login needs one. The answer has the recovery codes.
#[utoipa::path(
    put, path = "/totp", request_body = CodeRequest,
    responses((status = 200, description = "Confirmed", body = Recovery))
)]
pub(super) async fn confirm_totp(access: Access<Read>, Valid(body): Valid<CodeRequest>) -> Answer<Recovery> {
    let (id, access) = access.own_account()?;
    let codes = RecoveryCodes::generate()?;
    let work = async |conn: &mut PgConnection, now: DateTime<Utc>| {
        let credentials = users::credentials(conn, access.tenant_id, &access.name).await?;
        let credentials = credentials.ok_or_else(|| Problem::of(Code::NotAuthenticated))?;
        refuse_unless(!credentials.totp_confirmed, Text::of("totp-already-set"))?;
        let sealed = credentials.totp_seed.as_deref().ok_or_else(|| Problem::conflict(Text::of("totp-not-begun")))?;
        let place = Place::totp_seed(access.tenant_id, id);
        let seed = access.context.secrets.open(&place, sealed).map_err(Problem::internal)?;
        let step = SecondFactor::parse(&seed).and_then(|factor| factor.step_of(&body.code, now.timestamp()));
        let step = Some(step.ok_or_else(|| wrong_code(&access))?);
        let (tenant, seed) = (access.tenant_id, Some(sealed));
        let is_set = users::set_totp(conn, tenant, &credentials, seed, step, &codes.hashes, now).await?;
        refuse_unless(is_set, Text::of("totp-concurrent-change"))?;
        Ok(((), ()))
    };
    access.change("totp.set", id, work).await?;
    Ok(Json(Recovery { recovery_codes: codes.texts }))
}

/// Removes the second factor. It needs the password and a code, as each login does.
#[utoipa::path(
    delete, path = "/totp", request_body = RemovalRequest, responses((status = 204, description = "Removed"))
)]
pub(super) async fn remove_totp(access: Access<Read>, Valid(body): Valid<RemovalRequest>) -> Done {
    let (id, access) = access.own_account()?;
    let credentials = verify_current_password(&access, &password_permit(&access)?, body.current).await?;
    let now = access.context.clock.now();
    // A wrong code counts as a failed login.
    let code = check_second_factor(&access.context, access.tenant_id, &credentials, body.code.as_deref(), now);
    let (step, _) = code.map_err(|problem| if problem.cause().is_some() { problem } else { wrong_code(&access) })?;
    if step.is_some_and(|step| step <= credentials.totp_step) {
        return Err(wrong_code(&access));
    }
    forget_failures(&access).await?;
    let work = async |conn: &mut PgConnection, now| {
        let is_set = users::set_totp(conn, access.tenant_id, &credentials, None, None, &[], now).await?;
        refuse_unless(is_set, Text::of("totp-concurrent-change"))?;
        Ok(((), ()))
    };
    access.change("totp.removed", id, work).await?;
    Ok(DONE)
}

fn wrong_code(access: &Principal) -> Problem {
    Problem::field("code", "wrong_code", &Text::of("totp-wrong-code"), access.language)
}
