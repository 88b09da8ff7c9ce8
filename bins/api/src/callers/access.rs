//! The principal of an admin or auth route: a user or the command line, with its role and the tenant it acts for.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use regua_domain::{ActorKind, Capability, Language, TenantId, Text, UserRole};
use regua_store::{access, tenants};
use serde::Serialize;
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::audit::{Actor, Change, record};
use super::client::Client;
use super::session::{SessionUser, authenticate};
use crate::context::Context;
use crate::http::body::BodyOwner;
use crate::http::request::language;
use crate::http::{Code, CommandLine, Problem, found, record_field};
use crate::limits::Permit;

/// The header in which a platform user names the tenant to act for.
const TENANT_HEADER: &str = "X-Tenant-ID";

/// An authenticated user, or the command line.
#[derive(Clone)]
pub(crate) struct Principal {
    pub(crate) context: Context,
    /// The tenant that the principal acts for.
    pub(crate) tenant_id: TenantId,
    pub(crate) role: UserRole,
    pub(crate) language: Language,
    /// None: the command line.
    pub(crate) user: Option<SessionUser>,
    /// The name in the audit log: a user's e-mail address.
    pub(crate) name: String,
    pub(crate) client: Client,
    /// The permit among the requests of the user's own tenant, held until the request ends.
    _permit: Arc<Permit>,
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
        self.0.tenant_id = tenant_id;
        self
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

    /// The user. The command line has no password and no second factor, and is refused.
    pub(crate) fn logged_in_user(&self) -> Result<SessionUser, Problem> {
        self.user.ok_or_else(|| Problem::of(Code::NotAuthenticated))
    }

    /// Runs `work` in a transaction that sees the tenant's rows.
    pub(crate) async fn read<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let mut transaction = self.begin().await?;
        let read = work(&mut transaction).await?;
        transaction.commit().await?;
        Ok(read)
    }

    /// Runs `work` in a transaction that sees the tenant's rows, and records the change in the audit log of the tenant
    /// in the same transaction. `work` gets the time of the change, and returns the object before and after it, without
    /// secrets; `()` where there is none.
    pub(crate) async fn change<B: Serialize, A: Serialize>(
        &self,
        action: &'static str,
        object: impl ToString,
        work: impl AsyncFnOnce(&mut PgConnection, DateTime<Utc>) -> Result<(B, A), Problem>,
    ) -> Result<A, Problem> {
        let now = self.context.clock.now();
        let mut transaction = self.begin().await?;
        let (before, after) = work(&mut transaction, now).await?;
        self.record(&mut transaction, Change::new(action, object, &before, &after)?, now).await?;
        transaction.commit().await?;
        Ok(after)
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, Problem> {
        let mut transaction = access::begin(&self.context.pool, self.tenant_id).await?;
        if self.role.may(Capability::Platform) {
            access::allow_platform(&mut transaction).await?;
        }
        Ok(transaction)
    }

    /// Records a change in the audit log. `conn` is in the transaction of the change.
    pub(crate) async fn record(
        &self,
        conn: &mut PgConnection,
        change: Change,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        let (kind, id) = self.user.map_or((ActorKind::CommandLine, None), |user| (ActorKind::User, Some(user.id.0)));
        let actor = Actor { kind, id, name: &self.name };
        record(conn, self.tenant_id, &actor, &self.client, change, now).await
    }

    pub(super) async fn authenticate(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let named = named_tenant(&parts.headers)?;
        let (language, client) = (language(&parts.headers), Client::of(parts));
        let (home, role, user, name) = match parts.extensions.get::<CommandLine>() {
            Some(CommandLine { name }) => (TenantId(Uuid::nil()), UserRole::Platform, None, name.clone()),
            None => {
                let (user, session) = authenticate(parts, context).await?;
                (user.home, session.role, Some(user), session.email.to_string())
            }
        };
        let permit = Arc::new(context.limits.requests.take_for_tenant(home).await?);
        parts.extensions.insert(BodyOwner(home));
        let tenant_id = named.unwrap_or(home);
        if tenant_id != home {
            if !role.may(Capability::Platform) {
                return Err(Problem::of(Code::Forbidden));
            }
            exists(context, tenant_id).await?;
        }
        record_field("tenant_id", tenant_id);
        Ok(Self { context: context.clone(), tenant_id, role, language, user, name, client, _permit: permit })
    }
}

fn named_tenant(headers: &HeaderMap) -> Result<Option<TenantId>, Problem> {
    let Some(named) = headers.get(TENANT_HEADER) else { return Ok(None) };
    let named = named.to_str().ok().and_then(|named| named.parse().ok());
    found(named).map(Some)
}

async fn exists(context: &Context, tenant: TenantId) -> Result<(), Problem> {
    let mut transaction = access::begin(&context.pool, tenant).await?;
    let name = tenants::find(&mut transaction, tenant).await?;
    transaction.commit().await?;
    found(name).map(|_| ())
}
