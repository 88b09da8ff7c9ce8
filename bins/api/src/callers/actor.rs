//! Work at one tenant: a transaction that sees the tenant's rows, in which each change writes its entry of the audit log.

use chrono::{DateTime, Utc};
use regua_domain::{ActorKind, Email, TenantId, UserId};
use regua_store::{access, audit_log};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::client::{Client, UnauthenticatedRequest};
use crate::context::Context;
use crate::http::Problem;
use crate::limits::ClientAddress;

/// A user, an API key or the command line, at the tenant that it acts for.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) context: Context,
    /// The tenant whose rows the actor sees, and whose audit log has the entries.
    pub(crate) tenant_id: TenantId,
    pub(crate) kind: ActorKind,
    pub(crate) id: Option<Uuid>,
    /// The name in the audit log: `key` and the key's id, or a user's e-mail address.
    pub(crate) name: String,
    pub(crate) client: Client,
    /// Whether the actor may see all tenants.
    pub(crate) is_platform: bool,
}

impl Actor {
    /// The user that a request without a principal is from, after its secret was checked.
    pub(crate) fn user(request: &UnauthenticatedRequest, tenant_id: TenantId, id: UserId, email: &Email) -> Self {
        let (context, client) = (request.context.clone(), request.client.clone());
        let (id, name) = (Some(id.0), email.to_string());
        Self { context, tenant_id, kind: ActorKind::User, id, name, client, is_platform: false }
    }

    /// Runs `work` in a transaction that sees the tenant's rows. `work` gets the time of the request.
    pub(crate) async fn transact<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection, DateTime<Utc>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let now = self.context.clock.now();
        let mut transaction = access::begin(&self.context.pool, self.tenant_id).await?;
        if self.is_platform {
            access::allow_platform(&mut transaction).await?;
        }
        let result = work(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(result)
    }

    /// As [`Self::transact`], for work that changes nothing.
    pub(crate) async fn read<T, E>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, Problem>
    where
        Problem: From<E>,
    {
        self.transact(async |conn, _| Ok(work(conn).await?)).await
    }

    /// As [`Self::transact`], for work that changes an object, and records the change. `work` returns the object before
    /// and after the change, without secrets; `()` where there is none.
    pub(crate) async fn change<B: Serialize, A: Serialize>(
        &self,
        action: &'static str,
        object: impl ToString,
        work: impl AsyncFnOnce(&mut PgConnection, DateTime<Utc>) -> Result<(B, A), Problem>,
    ) -> Result<A, Problem> {
        self.transact(async |conn, now| {
            let (before, after) = work(conn, now).await?;
            self.record(conn, action, object, (&before, &after), now).await?;
            Ok(after)
        })
        .await
    }

    /// Writes the entry of a change, in its transaction: an action such as `instance.updated`, the id of the object
    /// (empty: the change has none), and the object before and after the change.
    pub(crate) async fn record(
        &self,
        conn: &mut PgConnection,
        action: &'static str,
        object: impl ToString,
        (before, after): (&impl Serialize, &impl Serialize),
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        let (object, before, after) = (object.to_string(), snapshot(before)?, snapshot(after)?);
        let entry = audit_log::NewEntry {
            actor_kind: self.kind,
            actor_id: self.id,
            actor_name: &self.name,
            client: self.client.address.map(ClientAddress::ip),
            request_id: &self.client.request_id,
            action,
            object_id: Some(object.as_str()).filter(|object| !object.is_empty()),
            before: before.as_ref(),
            after: after.as_ref(),
        };
        Ok(audit_log::insert(conn, self.tenant_id, &entry, now).await?)
    }
}

fn snapshot(value: &impl Serialize) -> Result<Option<Value>, Problem> {
    let value = serde_json::to_value(value).map_err(Problem::internal)?;
    Ok(Some(value).filter(|value| !value.is_null()))
}
