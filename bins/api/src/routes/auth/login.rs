//! A login: tenant, e-mail address, password, and a code when a second factor is set.
//!
//! Failures are counted by user and network: guesses are slow, and failures from one network do not lock the user out
//! of another, nor out of a device on which the user logged in before. The answer and its time do not reveal whether the tenant or the address exists.

use anyhow::Context as _;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use regua_domain::{SessionId, SessionKind, TenantId};
use regua_secrets::Place;
use regua_store::sessions::{self, NewSession};
use regua_store::users::{self, Credentials};
use regua_store::{login_failures, tenants};
use sha2::{Digest, Sha256};
use std::time::Instant;

use crate::callers::{Actor, Client, UnauthenticatedRequest};
use crate::credentials::device::{DEVICE_COOKIE, DEVICE_KNOWN_FOR, Device};
use crate::credentials::token::{ACCESS_TOKEN_LIFE, SessionSecret};
use crate::credentials::totp::{RecoveryCodes, SecondFactor};
use crate::http::error::LoginProblems;
use crate::limits::ClientAddress;
use crate::routes::kit::*;

/// Failures of this time are counted.
const FAILURE_WINDOW: TimeDelta = TimeDelta::minutes(15);
/// Of one user, from one network.
const MAX_FAILURES_OF_NETWORK: i64 = 5;
/// Of one user, from all networks. Above it, only networks of the user's earlier sessions are admitted.
const MAX_FAILURES: i64 = 100;
const NETWORK_KNOWN_FOR: TimeDelta = TimeDelta::days(90);

body! {
    pub(super) struct LoginRequest {
        /// The tenant's slug.
        #[example = "acme"]
        tenant: Line<1, 63>,
        #[example = "maria@acme.example"]
        email: Line<3, 254>,
        password: Password<1>,
        /// Six digits of the authenticator app, or a recovery code. Required when a second factor is set.
        totp: Option<Line<1, 40>>,
    }
}

/// The tokens of a program's session.
#[derive(Serialize, ToSchema)]
pub(super) struct Tokens {
    /// For `Authorization: Bearer`; valid for ten minutes.
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: i64,
    /// For new tokens, at `POST /api/v1/auth/refresh`. It works once.
    refresh_token: String,
    /// When the session ends; a refresh does not extend it.
    refresh_expires_at: DateTime<Utc>,
}

impl Tokens {
    pub(super) fn new(
        context: &Context,
        secret: &SessionSecret,
        session_ends_at: DateTime<Utc>,
    ) -> Result<Self, Problem> {
        let access_token = context.access_tokens.issue(secret.tenant, secret.session, context.clock.now());
        Ok(Self {
            access_token: access_token.context("no access token")?,
            token_type: "Bearer",
            expires_in: ACCESS_TOKEN_LIFE.num_seconds(),
            refresh_token: secret.text(),
            refresh_expires_at: session_ends_at,
        })
    }
}

/// Logs in a program of a user.
///
/// After five failed logins of a user from one network, that network is refused for the rest of fifteen minutes. The
/// answer sets a cookie; a login with it, within 90 days, is not refused for the failures of others.
#[utoipa::path(
    post, path = "/login", security(()), request_body = LoginRequest,
    responses((status = 200, description = "Logged in", body = Tokens), LoginProblems)
)]
pub(super) async fn login(
    request: UnauthenticatedRequest,
    Valid(body): Valid<LoginRequest>,
) -> Result<Response, Problem> {
    let opened = log_in(&request, body, SessionKind::Api).await?;
    let tokens = Tokens::new(&request.context, &opened.secret, opened.expires_at)?;
    Ok(([(header::SET_COOKIE, opened.device_cookie)], Json(tokens)).into_response())
}

/// A session that a login opened.
pub(super) struct Opened {
    pub(super) secret: SessionSecret,
    pub(super) expires_at: DateTime<Utc>,
    /// Proves at later logins that the user logged in on this device.
    pub(super) device_cookie: HeaderValue,
}

/// A cookie of this host that scripts cannot read.
pub(super) fn cookie(name: &str, value: &str, life: TimeDelta) -> Result<HeaderValue, Problem> {
    let seconds = life.num_seconds();
    let cookie = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}");
    HeaderValue::try_from(cookie).map_err(Problem::internal)
}

/// The longest life of a session.
pub(super) const fn session_lifetime(kind: SessionKind) -> TimeDelta {
    match kind {
        SessionKind::Console => TimeDelta::days(7),
        SessionKind::Api => TimeDelta::days(30),
    }
}

/// Checks the login and opens a session.
pub(super) async fn log_in(
    request: &UnauthenticatedRequest,
    body: LoginRequest,
    kind: SessionKind,
) -> Result<Opened, Problem> {
    let context = &request.context;
    let login = LoginRequest { email: body.email.trim().to_lowercase(), ..body };
    let permit = request.password_permit()?;
    let look_up = request.begin_look_up().await?;
    let tenant = find_tenant(context, &login.tenant).await?;
    let credentials = admit_login(context, &request.client, tenant, &login.email, request.device).await?;
    let charge = look_up.end();
    let hash = credentials.as_ref().and_then(|user| user.password_hash.clone());
    let is_match = context.passwords.verify(&permit, login.password.clone(), hash).await?;
    let user = credentials.filter(|user| is_match && user.active);
    let user = user.ok_or_else(|| Problem::of(Code::LoginFailed))?;
    let opened = complete_login(request, tenant, &user, &login, kind).await?;
    request.accept(tenant, Some(charge));
    context.good_sessions.record_secret(&opened.secret);
    Ok(opened)
}

/// The tenant with this slug. An unknown slug gets an id of its own, under which failed logins are counted like those of
/// a tenant, so that neither an answer nor its time tells which tenants exist.
pub(super) async fn find_tenant(context: &Context, slug: &str) -> Result<TenantId, Problem> {
    let mut transaction = context.database.begin_slug(slug).await?;
    let tenant = tenants::find_by_slug(&mut transaction, slug).await?;
    transaction.commit().await?;
    Ok(tenant.unwrap_or_else(|| {
        let mut id = [0; 16];
        id.copy_from_slice(&Sha256::digest(format!("unknown tenant {slug}"))[..16]);
        // Version 8: ids of tenants have version 7.
        TenantId(uuid::Builder::from_custom_bytes(id).into_uuid())
    }))
}

/// Counts the login as failed before the password is checked, and refuses it after too many failures, unless the user
/// logged in on the device before. Returns the user's credentials; a correct login deletes its failures.
pub(super) async fn admit_login(
    context: &Context,
    client: &Client,
    tenant: TenantId,
    email: &str,
    device: Option<Device>,
) -> Result<Option<Credentials>, Problem> {
    let (now, network) = (context.clock.now(), client.network());
    let mut transaction = context.database.begin_check(tenant).await?;
    let conn = &mut *transaction;
    let failures = login_failures::record(conn, tenant, email, network, now - FAILURE_WINDOW, now).await?;
    let credentials = users::credentials(conn, tenant, email).await?;
    let exceeds_user_limit = failures.everywhere > MAX_FAILURES
        && match &credentials {
            Some(user) => {
                !sessions::is_known_network(conn, tenant, user.user_id, network, now - NETWORK_KNOWN_FOR).await?
            }
            None => true,
        };
    transaction.commit().await?;
    let is_of_device = |user: &Credentials| device == Some(Device { tenant, user: user.user_id });
    let is_known = credentials.as_ref().is_some_and(is_of_device);
    if !is_known && (failures.here > MAX_FAILURES_OF_NETWORK || exceeds_user_limit) {
        let retry_at = failures.first_here.map_or(now, |first| first) + FAILURE_WINDOW;
        if let Some(count) = context.stranger_logs.refused_logins.count(Instant::now()) {
            tracing::warn!(count, tenant_id = %tenant, here = failures.here, everywhere = failures.everywhere, "logins refused after too many failures");
        }
        return Err(Problem::rate_limited((retry_at - now).to_std().unwrap_or_default()));
    }
    Ok(credentials)
}

/// Checks the second factor and opens the session.
async fn complete_login(
    request: &UnauthenticatedRequest,
    tenant_id: TenantId,
    user: &Credentials,
    login: &LoginRequest,
    kind: SessionKind,
) -> Result<Opened, Problem> {
    let (context, user_id, now) = (&request.context, user.user_id, request.context.clock.now());
    let (step, recovery) = check_second_factor(context, tenant_id, user, login.totp.as_deref(), now)?;
    let (secret, expires_at) = (SessionSecret::generate(tenant_id, SessionId::new(now))?, now + session_lifetime(kind));
    let session = NewSession {
        tenant_id,
        session_id: secret.session,
        user_id,
        kind,
        secret_hash: &secret.hash(),
        client: request.client.address.map(ClientAddress::ip),
        user_agent: request.user_agent.as_deref(),
        expires_at,
    };
    let work = async |conn: &mut PgConnection, now| {
        if !users::record_login(conn, tenant_id, user, step, recovery.as_deref(), now).await? {
            return Err(Problem::of(Code::LoginFailed));
        }
        login_failures::clear(conn, tenant_id, &login.email, request.client.network()).await?;
        sessions::create(conn, &session, now).await?;
        Ok(((), ()))
    };
    Actor::user(request, tenant_id, user_id, &user.email).change("session.opened", secret.session, work).await?;
    let proof =
        context.devices.issue(Device { tenant: tenant_id, user: user_id }, now).context("no key for the proof")?;
    let device_cookie = cookie(DEVICE_COOKIE, &proof, DEVICE_KNOWN_FOR)?;
    Ok(Opened { secret, expires_at, device_cookie })
}

/// The time step of the code, or the hash of the recovery code; neither when no second factor is set.
pub(super) fn check_second_factor(
    context: &Context,
    tenant: TenantId,
    user: &Credentials,
    code: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(Option<i64>, Option<Vec<u8>>), Problem> {
    let Some(seed) = user.totp_seed.as_deref().filter(|_| user.totp_confirmed) else { return Ok((None, None)) };
    let code = code.ok_or_else(|| Problem::of(Code::TotpRequired))?;
    let seed = context.secrets.open(&Place::totp_seed(tenant, user.user_id), seed).map_err(Problem::internal)?;
    let factor = SecondFactor::parse(&seed).context("the stored seed is invalid")?;
    if let Some(step) = factor.step_of(code, now.timestamp()) {
        return Ok((Some(step), None));
    }
    let recovery = RecoveryCodes::hash(code);
    let is_unused = user.recovery_hashes.contains(&recovery);
    is_unused.then_some((None, Some(recovery))).ok_or_else(|| Problem::of(Code::LoginFailed))
}
