//! Work at one tenant: a transaction that sees the tenant's rows, in which each change writes its entry of the audit log.

use chrono::{DateTime, Utc};
use regua_domain::{ActorKind, Email, TenantId, UserId};
use regua_store::{access, audit_log};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::audit_difference::difference;
use super::client::{Client, UnauthenticatedRequest};
use crate::context::Context;
use crate::http::Problem;
use crate::limits::{ClientAddress, TenantTransaction};

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
        self.run(self.context.database.begin(self.tenant_id).await?, work).await
    }

    /// As [`Self::transact`], for an export or an erasure of a debtor: a tenant may have one under way.
    pub(crate) async fn debtor_request<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection, DateTime<Utc>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.run(self.context.database.begin_debtor_request(self.tenant_id).await?, work).await
    }

    async fn run<T>(
        &self,
        mut transaction: TenantTransaction,
        work: impl AsyncFnOnce(&mut PgConnection, DateTime<Utc>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let now = self.context.clock.now();
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

    /// Reads a listing, from the replica if there is one.
    pub(crate) async fn list<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error> + Copy,
    ) -> Result<T, Problem> {
        let permit = self.context.database.permit(self.tenant_id).await?;
        Ok(self.context.listings.list(self.tenant_id, permit, work).await?)
    }

    /// As [`Self::transact`], for work that changes an object, and records the change within the actor's rate of changes.
    /// `work` returns the object before and after the change, without secrets; `()` where there is none.
    pub(crate) async fn change<B: Serialize, A: Serialize>(
        &self,
        action: &'static str,
        object: impl ToString,
        work: impl AsyncFnOnce(&mut PgConnection, DateTime<Utc>) -> Result<(B, A), Problem>,
    ) -> Result<A, Problem> {
        self.admit_change()?;
        self.transact(async |conn, now| {
            let (before, after) = work(conn, now).await?;
            self.record_always(conn, action, object, (&before, &after), now).await?;
            Ok(after)
        })
        .await
    }

    /// Charges a change to the rates of the person and the tenant. The command line has none.
    fn admit_change(&self) -> Result<(), Problem> {
        let Some(person) = self.id else { return Ok(()) };
        Ok(self.context.limits.changes.admit(person, self.tenant_id)?)
    }

    /// Writes the entry of a change, in its transaction, within the actor's rate of changes: an action such as
    /// `instance.updated`, the id of the object (empty: the change has none), and the object before and after the change.
    pub(crate) async fn record(
        &self,
        conn: &mut PgConnection,
        action: &'static str,
        object: impl ToString,
        states: (&impl Serialize, &impl Serialize),
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        self.admit_change()?;
        self.record_always(conn, action, object, states, now).await
    }

    /// As [`Self::record`], for a change that must not be refused: the end of a session.
    pub(crate) async fn record_always(
        &self,
        conn: &mut PgConnection,
        action: &'static str,
        object: impl ToString,
        (before, after): (&impl Serialize, &impl Serialize),
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        let object = object.to_string();
        let (before, after) = difference(before, after).map_err(Problem::internal)?;
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
