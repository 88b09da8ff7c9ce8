//! A login: tenant, address, password, and a code where a second factor is set.
//!
//! Wrong ones are counted by account and network, so that guesses are slow and nobody is locked out by somebody elsewhere. A login
//! takes as long and is answered alike whether the tenant or the address exists.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use regua_boot::Place;
use regua_domain::{SessionId, TenantId};
use regua_store::sessions::{self, NewSession};
use regua_store::users::{self, Credentials};
use regua_store::{access, login_failures, tenants};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::Context;
use crate::client_address::ClientAddress;
use crate::error::{Code, LoginProblems, Problem};
use crate::form::Form;
use crate::people::{
    ACCESS_TOKEN_LIFE, Actor, Change, Client, JsonBody, RecoveryCodes, SecondFactor, SessionSecret, Visitor, record,
};

/// In which wrong passwords count.
const WINDOW: TimeDelta = TimeDelta::minutes(15);
/// So many wrong ones from one network, for one account.
const MOST_HERE: i64 = 5;
/// So many from everywhere, for one account; then only networks from which its owner has come in before are listened to.
const MOST_EVERYWHERE: i64 = 100;
const KNOWN_FOR: TimeDelta = TimeDelta::days(90);

/// Who comes in.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
pub(super) struct LoginRequest {
    /// The tenant's slug.
    #[schema(example = "acme", min_length = 1, max_length = 63)]
    tenant: String,
    #[schema(example = "maria@acme.example", min_length = 3, max_length = 254)]
    email: String,
    #[schema(min_length = 1, max_length = 128)]
    password: String,
    /// Six digits of the authenticator app, or a recovery code; needed where a second factor is set.
    #[schema(min_length = 1, max_length = 40)]
    totp: Option<String>,
}

/// What a program of a person's shows from then on.
#[derive(Serialize, ToSchema)]
pub(super) struct Tokens {
    /// For `Authorization: Bearer`, for ten minutes.
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds for which the access token is good.
    expires_in: i64,
    /// For another access token, once: each use answers the next one.
    refresh_token: String,
    /// When the login ends, however often it is refreshed.
    refresh_expires_at: DateTime<Utc>,
}

impl Tokens {
    /// What is shown of a session whose new secret this is.
    pub(super) fn of(
        context: &Context,
        secret: &SessionSecret,
        ends: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Self, Problem> {
        let access_token = context.access_tokens.issue(secret.tenant, secret.session, now);
        Ok(Self {
            access_token: access_token.ok_or_else(|| Problem::internal(anyhow::anyhow!("no access token")))?,
            token_type: "Bearer",
            expires_in: ACCESS_TOKEN_LIFE.num_seconds(),
            refresh_token: secret.text(),
            refresh_expires_at: ends,
        })
    }
}

/// Logs in, for a program of a person's own.
///
/// After five wrong passwords for an account from one network within fifteen minutes, that network waits for the rest of them.
#[utoipa::path(
    post, path = "/login", operation_id = "login", tag = "auth", security(()), request_body = LoginRequest,
    responses((status = 200, description = "Come in", body = Tokens), LoginProblems)
)]
pub(super) async fn login(
    State(context): State<Context>,
    visitor: Visitor,
    JsonBody(body): JsonBody,
) -> Result<Json<Tokens>, Problem> {
    let (secret, ends) = come_in(&context, &visitor, &body, Kind::Api).await?;
    Tokens::of(&context, &secret, ends, context.clock.now()).map(Json)
}

/// For whom a session is opened.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A browser, by a cookie.
    Console,
    /// A program, by tokens.
    Api,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Api => "api",
        }
    }

    /// How long a session lasts at most.
    pub(super) const fn life(self) -> TimeDelta {
        match self {
            Self::Console => TimeDelta::days(7),
            Self::Api => TimeDelta::days(30),
        }
    }
}

/// What was sent, as a form has it.
struct Sent {
    email: String,
    password: String,
    totp: Option<String>,
}

/// Checks who comes, and opens a session; answers its secret and its end.
pub(super) async fn come_in(
    context: &Context,
    visitor: &Visitor,
    body: &[u8],
    kind: Kind,
) -> Result<(SessionSecret, DateTime<Utc>), Problem> {
    let mut form = Form::read(body, visitor.language)?;
    let slug = form.required_text("tenant", 63);
    let email = form.required_text("email", 254).trim().to_lowercase();
    let password = form.required_text("password", 128);
    let totp = form.text("totp", 40);
    form.finish()?;
    let sent = Sent { email, password, totp };

    let mut transaction = access::begin_slug(&context.pool, &slug).await?;
    let tenant = tenants::by_slug(&mut transaction, &slug).await?;
    transaction.commit().await?;
    let credentials = match tenant {
        Some(tenant) => counted(context, &visitor.client, tenant, &sent.email).await?,
        None => None,
    };
    let hash = credentials.as_ref().and_then(|found| found.password_hash.clone());
    let fits = context.passwords.fits(sent.password.clone(), hash).await?;
    match (tenant, credentials) {
        (Some(tenant), Some(found)) if fits && found.active => {
            opened(context, visitor, tenant, &found, &sent, kind).await
        }
        _ => Err(Problem::of(Code::LoginFailed)),
    }
}

/// Counts the try as one that failed, until it is known better, and refuses it where there were too many.
pub(super) async fn counted(
    context: &Context,
    client: &Client,
    tenant: TenantId,
    email: &str,
) -> Result<Option<Credentials>, Problem> {
    let (now, network) = (context.clock.now(), client.network());
    let mut transaction = access::begin(&context.pool, tenant).await?;
    let conn = &mut *transaction;
    let failures = login_failures::note(conn, tenant, email, network, now - WINDOW, now).await?;
    let found = users::credentials(conn, tenant, email).await?;
    let is_crowded = failures.everywhere > MOST_EVERYWHERE
        && match &found {
            Some(found) => !sessions::is_known_from(conn, tenant, found.user_id, network, now - KNOWN_FOR).await?,
            None => true,
        };
    transaction.commit().await?;
    if failures.here > MOST_HERE || is_crowded {
        let again = failures.first_here.map_or(now, |first| first) + WINDOW;
        tracing::warn!(tenant_id = %tenant, here = failures.here, everywhere = failures.everywhere, "logins are held back");
        return Err(Problem::rate_limited((again - now).to_std().unwrap_or_default()));
    }
    Ok(found)
}

/// The password was right.
async fn opened(
    context: &Context,
    visitor: &Visitor,
    tenant: TenantId,
    found: &Credentials,
    sent: &Sent,
    kind: Kind,
) -> Result<(SessionSecret, DateTime<Utc>), Problem> {
    let now = context.clock.now();
    let (step, recovery) = second_factor(context, tenant, found, sent.totp.as_deref(), now)?;
    let mut transaction = access::begin(&context.pool, tenant).await?;
    let conn = &mut *transaction;
    if !users::came_in(conn, tenant, found, step, recovery.as_deref(), now).await? {
        return Err(Problem::of(Code::LoginFailed));
    }
    login_failures::forget(conn, tenant, &sent.email, visitor.client.network()).await?;
    let secret = open(conn, visitor, tenant, found, kind, now).await?;
    transaction.commit().await?;
    context.limits.welcome(visitor.client.address);
    Ok((secret, now + kind.life()))
}

/// Opens a session for somebody of whom all was checked, and writes it down.
pub(super) async fn open(
    conn: &mut PgConnection,
    visitor: &Visitor,
    tenant: TenantId,
    found: &Credentials,
    kind: Kind,
    now: DateTime<Utc>,
) -> Result<SessionSecret, Problem> {
    let secret = SessionSecret::generate(tenant, SessionId::new(now));
    let secret = secret.ok_or_else(|| Problem::internal(anyhow::anyhow!("no random numbers")))?;
    let session = NewSession {
        tenant_id: tenant,
        session_id: secret.session,
        user_id: found.user_id,
        kind: kind.as_str(),
        secret_hash: &secret.hash(),
        client: visitor.client.address.map(ClientAddress::ip),
        user_agent: visitor.user_agent.as_deref(),
        expires_at: now + kind.life(),
    };
    sessions::create(conn, &session, now).await?;
    let actor = Actor { kind: "user", id: Some(found.user_id.0), name: &found.email };
    let change = Change { action: "session.opened", object: secret.session.to_string(), ..Change::default() };
    record(conn, tenant, &actor, &visitor.client, change, now).await?;
    Ok(secret)
}

/// The step of the code that was sent, or the hash of the recovery code; neither where there is no second factor.
fn second_factor(
    context: &Context,
    tenant: TenantId,
    found: &Credentials,
    sent: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(Option<i64>, Option<Vec<u8>>), Problem> {
    let Some(seed) = found.totp_seed.as_deref().filter(|_| found.totp_confirmed) else { return Ok((None, None)) };
    let sent = sent.ok_or_else(|| Problem::of(Code::TotpRequired))?;
    let seed = context.secrets.open(&Place::totp_seed(tenant, found.user_id), seed).map_err(Problem::internal)?;
    let factor = SecondFactor::parse(&seed).ok_or_else(|| Problem::internal(anyhow::anyhow!("the seed is no seed")))?;
    if let Some(step) = factor.step_of(sent, now.timestamp()) {
        return Ok((Some(step), None));
    }
    let recovery = RecoveryCodes::hash(sent);
    let is_one = found.recovery_hashes.contains(&recovery);
    is_one.then_some((None, Some(recovery))).ok_or_else(|| Problem::of(Code::LoginFailed))
}
