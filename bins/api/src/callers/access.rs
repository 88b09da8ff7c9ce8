//! The principal of an admin or auth route: a user or the command line, with its role and the tenant it acts for.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use regua_domain::{ActorKind, Capability, Language, TenantId, Text, UserId, UserRole};
use regua_store::tenants;
use uuid::Uuid;

use super::actor::Actor;
use super::client::Client;
use super::session::{SessionUser, authenticate};
use crate::context::Context;
use crate::http::body::RequestOwner;
use crate::http::request::language;
use crate::http::{Code, CommandLine, Problem, found, record_field};
use crate::limits::Permit;

/// The header in which a platform user names the tenant to act for.
const TENANT_HEADER: &str = "X-Tenant-ID";

/// An authenticated user, or the command line.
pub(crate) struct Principal {
    pub(super) actor: Actor,
    pub(crate) role: UserRole,
    pub(crate) language: Language,
    /// None: the command line.
    pub(crate) user: Option<SessionUser>,
    /// The permit among the requests of the user's own tenant, held until the request ends.
    pub(super) permit: Arc<Permit>,
}

impl Deref for Principal {
    type Target = Actor;

    fn deref(&self) -> &Actor {
        &self.actor
    }
}

/// A principal whose role has the capability `C`: `Access<Operate>`. The extractor answers `forbidden` otherwise, before
/// it reads a body. No other extractor gives a principal, so a handler cannot omit the capability.
pub(crate) struct Access<C>(Principal, PhantomData<fn() -> C>);

/// A capability as a type.
pub(crate) trait CapabilityType {
    const CAPABILITY: Capability;
}

macro_rules! capability_types {
    ($($capability:ident),+) => {$(
        #[doc = concat!("The capability `", stringify!($capability), "` as a type.")]
        pub(crate) enum $capability {}

        impl CapabilityType for $capability {
            const CAPABILITY: Capability = Capability::$capability;
        }
    )+};
}

capability_types! { Read, Operate, Administer, Platform }

impl<C> Access<C> {
    /// The same principal, acting for another tenant.
    pub(crate) fn at(mut self, tenant_id: TenantId) -> Self {
        self.0.actor.tenant_id = tenant_id;
        self
    }

    /// The user, and the same principal acting for the user's own tenant. The command line has no password and no
    /// second factor, and is refused.
    pub(crate) fn own_account(self) -> Result<(UserId, Self), Problem> {
        let user = self.user.ok_or_else(|| Problem::of(Code::NotAuthenticated))?;
        Ok((user.id, self.at(user.home)))
    }
}

impl<C> Deref for Access<C> {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl<C: CapabilityType> FromRequestParts<Context> for Access<C> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let principal = Principal::authenticate(parts, context).await?;
        principal.require(C::CAPABILITY)?;
        Ok(Self(principal, PhantomData))
    }
}

impl Principal {
    /// Answers `forbidden` when the role lacks the capability.
    pub(crate) fn require(&self, capability: Capability) -> Result<(), Problem> {
        if self.role.may(capability) {
            return Ok(());
        }
        Err(Problem::with_detail(Code::Forbidden, Text::of("access-role-lacks-capability").with("role", self.role)))
    }

    pub(super) async fn authenticate(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let named = named_tenant(&parts.headers)?;
        let (home, role, user, name) = match parts.extensions.get::<CommandLine>() {
            Some(CommandLine { name }) => (TenantId(Uuid::nil()), UserRole::Platform, None, name.clone()),
            None => {
                let (user, session) = authenticate(parts, context).await?;
                (user.home, session.role, Some(user), session.email.to_string())
            }
        };
        RequestOwner::record(&parts.extensions, home);
        let permit = Arc::new(context.limits.requests.take_for_tenant(home).await?);
        let (tenant_id, is_platform) = (named.unwrap_or(home), role.may(Capability::Platform));
        let (kind, id) = user.map_or((ActorKind::CommandLine, None), |user| (ActorKind::User, Some(user.id.0)));
        let (context, client) = (context.clone(), Client::of(parts));
        let actor = Actor { context, tenant_id, kind, id, name, client, is_platform };
        if tenant_id != home {
            if !is_platform {
                return Err(Problem::of(Code::Forbidden));
            }
            actor.read(async |conn| found(tenants::find(conn, tenant_id).await?)).await?;
        }
        record_field("tenant_id", tenant_id);
        Ok(Self { actor, role, language: language(&parts.headers), user, permit })
    }
}

fn named_tenant(headers: &HeaderMap) -> Result<Option<TenantId>, Problem> {
    let Some(named) = headers.get(TENANT_HEADER) else { return Ok(None) };
    let named = named.to_str().ok().and_then(|named| named.parse().ok());
    found(named).map(Some)
}
