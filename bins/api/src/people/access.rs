//! Who acts, for which tenant, and what they may do: asked by every handler of people's routes before anything else.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use chrono::{DateTime, TimeDelta, Utc};
use ipnetwork::IpNetwork;
use regua_domain::{Language, Right, SessionId, TenantId, UserId, UserRole};
use regua_store::sessions::{self, Session};
use regua_store::{access, audit_log, tenants};
use serde_json::Value;
use sqlx::{PgConnection, Postgres, Transaction};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::body::Share;
use super::crossing;
use super::token::{SESSION_COOKIE, SessionSecret};
use crate::Context;
use crate::client_address::ClientAddress;
use crate::error::{Code, Problem};
use crate::limits::Part;
use crate::request::{RequestId, language, note};

/// With which somebody of the platform names the tenant that they act for.
const TENANT_HEADER: &str = "X-Tenant-ID";
/// A console that nobody uses is closed after that.
const IDLE: TimeDelta = TimeDelta::hours(12);

/// Whoever runs `regua` with the database at hand. It never comes over HTTP: the program puts it into the request itself.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// For the audit log: the user of the operating system.
    pub name: String,
}

/// Where a request came from.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The caller's address.
    pub(crate) address: Option<ClientAddress>,
    /// The request's id.
    pub(crate) request_id: String,
}

impl Client {
    pub(crate) fn of(parts: &Parts) -> Self {
        let address = parts.extensions.get().copied();
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        Self { address, request_id }
    }

    /// The network that counts as one caller.
    pub(crate) fn network(&self) -> IpNetwork {
        let site = self.address.map_or(IpAddr::from([0, 0, 0, 0]), ClientAddress::site);
        IpNetwork::new(site, if site.is_ipv4() { 32 } else { 64 }).unwrap_or_else(|_| site.into())
    }
}

/// Somebody of whom nothing is known yet.
pub(crate) struct Visitor {
    /// In which language to answer.
    pub(crate) language: Language,
    /// Where from.
    pub(crate) client: Client,
    /// With which program, as it says.
    pub(crate) user_agent: Option<String>,
}

impl FromRequestParts<Context> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        context.limits.knock(parts)?;
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let user_agent = user_agent.map(|text| text.chars().take(200).collect());
        Ok(Self { language: language(&parts.headers), client: Client::of(parts), user_agent })
    }
}

/// Somebody who came in, or the command line.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// The tenant that is acted for.
    pub(crate) tenant_id: TenantId,
    /// What they may do there.
    pub(crate) role: UserRole,
    /// In which language to answer.
    pub(crate) language: Language,
    /// Who; none: the command line.
    pub(crate) person: Option<Person>,
    /// As the audit log calls them.
    pub(crate) name: String,
    /// Where from.
    pub(crate) client: Client,
    /// A place among the requests of the tenant whose user it is, held as long as the request.
    _place: Arc<Part>,
}

/// A user of a tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    /// Where they are a user.
    pub(crate) home: TenantId,
    /// Who.
    pub(crate) user: UserId,
}

impl Access {
    /// Refuses what the role does not allow.
    pub(crate) fn require(&self, right: Right) -> Result<(), Problem> {
        if self.role.may(right) {
            return Ok(());
        }
        let detail = self.language.pick(
            format!("O papel \"{}\" não permite esta ação. Peça a quem administra a conta.", self.role),
            format!("The role \"{}\" does not allow this. Ask whoever administers the account.", self.role),
        );
        Err(Problem::with_detail(Code::Forbidden, detail))
    }

    /// The user who acts; the command line is none, and has no password or second factor.
    pub(crate) fn somebody(&self) -> Result<Person, Problem> {
        self.person.ok_or_else(|| Problem::of(Code::NotAuthenticated))
    }

    /// The same for another tenant; the right to it was asked for before.
    pub(crate) fn at(self, tenant_id: TenantId) -> Self {
        Self { tenant_id, ..self }
    }

    /// A transaction that sees the tenant's rows.
    pub(crate) async fn begin(&self, context: &Context) -> Result<Transaction<'static, Postgres>, Problem> {
        let mut transaction = access::begin(&context.pool, self.tenant_id).await?;
        if self.role.may(Right::RunThePlatform) {
            access::for_the_platform(&mut transaction).await?;
        }
        Ok(transaction)
    }

    /// Writes down what is done, in its own transaction.
    pub(crate) async fn record(
        &self,
        conn: &mut PgConnection,
        change: Change<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        let (kind, id) = self.person.map_or(("command_line", None), |person| ("user", Some(person.user.0)));
        let actor = Actor { kind, id, name: &self.name };
        record(conn, self.tenant_id, &actor, &self.client, change, now).await
    }
}

/// Who is written down.
pub(crate) struct Actor<'a> {
    /// `user`, `api_key`, `command_line` or `nobody`.
    pub(crate) kind: &'static str,
    /// Its id, where it has one.
    pub(crate) id: Option<Uuid>,
    /// What it is called.
    pub(crate) name: &'a str,
}

/// What is written down. Secrets are not among the values.
#[derive(Default)]
pub(crate) struct Change<'a> {
    /// Such as `instance.updated`.
    pub(crate) action: &'static str,
    /// Of what.
    pub(crate) object: String,
    /// As it was.
    pub(crate) before: Option<&'a Value>,
    /// As it is.
    pub(crate) after: Option<&'a Value>,
}

/// Writes an entry of the audit log, in the transaction of what it tells of.
pub(crate) async fn record(
    conn: &mut PgConnection,
    tenant: TenantId,
    actor: &Actor<'_>,
    client: &Client,
    change: Change<'_>,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let entry = audit_log::Entry {
        actor_kind: actor.kind,
        actor_id: actor.id,
        actor_name: actor.name,
        client: client.address.map(ClientAddress::ip),
        request_id: &client.request_id,
        action: change.action,
        object_id: Some(change.object.as_str()).filter(|object| !object.is_empty()),
        before: change.before,
        after: change.after,
    };
    Ok(audit_log::write(conn, tenant, &entry, now).await?)
}

impl FromRequestParts<Context> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let named = named_tenant(&parts.headers)?;
        let (language, client) = (language(&parts.headers), Client::of(parts));
        let (home, role, person, name) = match parts.extensions.get::<CommandLine>() {
            Some(CommandLine { name }) => (TenantId(Uuid::nil()), UserRole::Platform, None, name.clone()),
            None => {
                let (person, session) = somebody(parts, context).await?;
                let role = session.role.parse().map_err(Problem::internal)?;
                (person.home, role, Some(person), session.email)
            }
        };
        let place = Arc::new(context.limits.tenants_place(home).await?);
        parts.extensions.insert(Share(home));
        let tenant_id = named.unwrap_or(home);
        if tenant_id != home {
            if !role.may(Right::RunThePlatform) {
                return Err(Problem::of(Code::Forbidden));
            }
            exists(context, tenant_id).await?;
        }
        note("tenant_id", tenant_id);
        Ok(Self { tenant_id, role, language, person, name, client, _place: place })
    }
}

/// The session that a request shows, where it stands.
async fn somebody(parts: &Parts, context: &Context) -> Result<(Person, Session), Problem> {
    let now = context.clock.now();
    let refused = || context.limits.refuse(parts, Code::NotAuthenticated);
    let shown = shown(parts, context, now).ok_or_else(refused)?;
    let (tenant, id) = (shown.tenant, shown.session);
    // A cookie is looked up before anybody knows whether it was ever given out; an access token was signed.
    if shown.is_cookie() {
        context.limits.knock(parts)?;
    }
    let mut transaction = access::begin(&context.pool, tenant).await?;
    let session = sessions::get(&mut transaction, tenant, id).await?.ok_or_else(refused)?;
    let stands = session.active
        && now < session.expires_at
        && (session.kind == "api" || now < session.last_used_at + IDLE)
        && shown.fits(&session);
    if !stands {
        return Err(refused());
    }
    if shown.is_cookie() {
        context.limits.welcome(parts.extensions.get().copied());
        if !crossing::is_of_our_own(parts) {
            return Err(Problem::of(Code::CrossSite));
        }
    }
    if session.last_used_at + TimeDelta::minutes(1) < now {
        sessions::used(&mut transaction, tenant, id, now).await?;
    }
    transaction.commit().await?;
    Ok((Person { home: tenant, user: session.user_id }, session))
}

/// What a request shows of its session.
struct Shown {
    tenant: TenantId,
    session: SessionId,
    /// The cookie's; none: an access token, which was found to be good.
    secret: Option<SessionSecret>,
}

impl Shown {
    fn is_cookie(&self) -> bool {
        self.secret.is_some()
    }

    /// A cookie opens a console's session, an access token the one that it was given for.
    fn fits(&self, session: &Session) -> bool {
        match &self.secret {
            Some(secret) => session.kind == "console" && bool::from(secret.hash().ct_eq(&session.secret_hash)),
            None => session.kind == "api",
        }
    }
}

fn shown(parts: &Parts, context: &Context, now: DateTime<Utc>) -> Option<Shown> {
    if let Some(authorization) = parts.headers.get(header::AUTHORIZATION) {
        let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
        let (tenant, session) =
            context.access_tokens.read(token, now).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
        return Some(Shown { tenant, session, secret: None });
    }
    let secret = SessionSecret::parse(cookie(&parts.headers)?)?;
    Some(Shown { tenant: secret.tenant, session: secret.session, secret: Some(secret) })
}

/// The session's cookie.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == SESSION_COOKIE).then_some(value))
}

fn named_tenant(headers: &HeaderMap) -> Result<Option<TenantId>, Problem> {
    let Some(named) = headers.get(TENANT_HEADER) else { return Ok(None) };
    let named = named.to_str().ok().and_then(|named| named.parse().ok());
    named.map(Some).ok_or_else(|| Problem::of(Code::NotFound))
}

async fn exists(context: &Context, tenant: TenantId) -> Result<(), Problem> {
    let mut transaction = access::begin(&context.pool, tenant).await?;
    let name = tenants::find(&mut transaction, tenant).await?;
    transaction.commit().await?;
    name.map(|_| ()).ok_or_else(|| Problem::of(Code::NotFound))
}
