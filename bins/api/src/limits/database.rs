//! The API's connections to the database: a budget for each tenant, one that tenants share beyond their own, and one for
//! all callers whose credential is not checked yet. Requests that store no batch and no webhook event have a part of
//! their tenant's budget. Every transaction of a request begins here. A tenant has one export or erasure under way.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use regua_domain::TenantId;
use regua_store::access::{self, STATEMENT_TIMEOUT};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::budgets::{Budgets, Exhausted, Permit};
use super::refused::{Refusals, Refused};
use crate::metrics::ApiMetrics;

/// One holder may have a quarter of the connections. Tenants share a second quarter, so that a tenant that is alone has
/// half of them.
const PARTS: usize = 4;
/// A tenant's requests other than batches and webhooks may have an eighth. They may read a lot, and PostgreSQL shares
/// the cores evenly among its connections.
const PARTS_OF_OTHERS: usize = 8;
/// One holder may have at least so many.
const LEAST: usize = 2;
/// Connections without a holder: for the relay, and for probes and look-ups of API keys.
const WITHOUT_HOLDER: usize = 2;
/// How long a transaction may wait for its permit.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    Tenant(TenantId),
    /// All callers that name a tenant, and whose credential is not checked yet.
    Unauthenticated,
}

/// The permits of one transaction. Clones are one permit.
#[derive(Clone)]
pub(crate) struct ConnectionPermit {
    _permits: Arc<Vec<Permit>>,
}

/// The database, as requests use it.
pub(crate) struct Database {
    pool: PgPool,
    connections: Budgets<Holder>,
    /// Of tenants beyond their own budget.
    shared: Arc<Semaphore>,
    /// Of requests that store no batch and no webhook event.
    others: Budgets<TenantId>,
    debtor_requests: Budgets<TenantId>,
    refusals: Refusals,
}

/// Why a transaction was not begun, or failed.
pub(crate) enum TransactionError {
    /// A budget is used up.
    Refused(Refused),
    /// The database is away, or refused a statement.
    Failed(sqlx::Error),
}

impl Database {
    pub(crate) fn new(pool: PgPool, metrics: ApiMetrics) -> Self {
        let total = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        let each = (total / PARTS).max(LEAST);
        Self {
            pool,
            connections: Budgets::new(total.saturating_sub(WITHOUT_HOLDER), each),
            shared: Arc::new(Semaphore::new(each)),
            others: Budgets::new(total, (total / PARTS_OF_OTHERS).max(LEAST)),
            debtor_requests: Budgets::new(each, 1),
            refusals: Refusals::new(metrics),
        }
    }

    /// Begins a transaction of a tenant that sees its rows, for a request that stores no batch and no webhook event.
    pub(crate) async fn begin(&self, tenant: TenantId) -> Result<TenantTransaction, TransactionError> {
        let permit = self.permit(tenant).await?;
        Ok(TenantTransaction::begin(&self.pool, tenant, permit).await?)
    }

    /// As [`Self::begin`], for an export or an erasure, which reads many rows: a tenant may have one under way.
    pub(crate) async fn begin_debtor_request(&self, tenant: TenantId) -> Result<TenantTransaction, TransactionError> {
        let only = self.debtor_requests.take_now(Some(tenant));
        let only = only.map_err(|exhausted| self.refusals.exhausted("debtor_requests", exhausted))?;
        let permit = self.take_other(tenant, vec![only]).await?;
        Ok(TenantTransaction::begin(&self.pool, tenant, permit).await?)
    }

    /// As [`Self::begin`], for a transaction that stores a batch or counts webhook events.
    pub(crate) async fn begin_intake(&self, tenant: TenantId) -> Result<TenantTransaction, TransactionError> {
        let permit = self.take(Holder::Tenant(tenant), Vec::new()).await?;
        Ok(TenantTransaction::begin(&self.pool, tenant, permit).await?)
    }

    /// Begins a transaction that stores a webhook event of a tenant, and reads nothing.
    pub(crate) async fn begin_webhook(&self, tenant: TenantId) -> Result<TenantTransaction, TransactionError> {
        let permit = self.take(Holder::Tenant(tenant), Vec::new()).await?;
        Ok(TenantTransaction { open: Some(access::begin_webhook(&self.pool, tenant).await?), permit })
    }

    /// Begins a transaction that checks a credential for a tenant. It uses nothing of the tenant's budget, because
    /// any caller can name a tenant.
    pub(crate) async fn begin_check(&self, tenant: TenantId) -> Result<TenantTransaction, TransactionError> {
        let permit = self.take(Holder::Unauthenticated, Vec::new()).await?;
        Ok(TenantTransaction::begin(&self.pool, tenant, permit).await?)
    }

    /// As [`Self::begin_check`], for a tenant that is named by its slug. The transaction sees that tenant's row alone.
    pub(crate) async fn begin_slug(&self, slug: &str) -> Result<TenantTransaction, TransactionError> {
        let permit = self.take(Holder::Unauthenticated, Vec::new()).await?;
        Ok(TenantTransaction { open: Some(access::begin_slug(&self.pool, slug).await?), permit })
    }

    /// Begins the look-up of an API key. `LookUps` bounds those of unknown keys, and each known one has its rate.
    pub(crate) async fn begin_lookup(&self, prefix: &str) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        access::begin_lookup(&self.pool, prefix).await
    }

    /// The permit of a transaction as [`Self::begin`] begins it, at this database or at its replica.
    pub(crate) async fn permit(&self, tenant: TenantId) -> Result<ConnectionPermit, Refused> {
        self.take_other(tenant, Vec::new()).await
    }

    async fn take_other(&self, tenant: TenantId, mut permits: Vec<Permit>) -> Result<ConnectionPermit, Refused> {
        let permit = self.others.take(tenant, 1, PATIENCE).await;
        permits.push(permit.map_err(|exhausted| self.refusals.exhausted("database", exhausted))?);
        self.take(Holder::Tenant(tenant), permits).await
    }

    async fn take(&self, holder: Holder, mut permits: Vec<Permit>) -> Result<ConnectionPermit, Refused> {
        let permit = match holder {
            Holder::Tenant(_) => self.connections.take_one(holder, &self.shared, PATIENCE).await,
            Holder::Unauthenticated => self.connections.take(holder, 1, PATIENCE).await,
        };
        permits.push(permit.map_err(|exhausted| match (holder, exhausted) {
            (Holder::Unauthenticated, Exhausted::Holder) => self.refusals.too_busy("unauthenticated_database"),
            _ => self.refusals.exhausted("database", exhausted),
        })?);
        Ok(ConnectionPermit { _permits: Arc::new(permits) })
    }
}

/// A transaction with its permits. They are given back when the server has ended it: also after a caller that hung up
/// while a statement ran.
pub(crate) struct TenantTransaction {
    /// None: it has ended.
    open: Option<Transaction<'static, Postgres>>,
    permit: ConnectionPermit,
}

impl TenantTransaction {
    /// Begins a transaction that sees a tenant's rows.
    pub(crate) async fn begin(pool: &PgPool, tenant: TenantId, permit: ConnectionPermit) -> Result<Self, sqlx::Error> {
        Ok(Self { open: Some(access::begin(pool, tenant).await?), permit })
    }

    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        match self.open.take() {
            Some(open) => open.commit().await,
            None => Ok(()),
        }
    }
}

impl Deref for TenantTransaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        let Some(open) = &self.open else { unreachable!("only `commit` and `drop` end it") };
        open
    }
}

impl DerefMut for TenantTransaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        let Some(open) = &mut self.open else { unreachable!("only `commit` and `drop` end it") };
        open
    }
}

impl Drop for TenantTransaction {
    /// Rolls back, after the statement that may still run: it has a time limit. A connection that does not answer is
    /// closed.
    fn drop(&mut self) {
        let (Some(open), Ok(runtime)) = (self.open.take(), Handle::try_current()) else { return };
        let permit = self.permit.clone();
        runtime.spawn(async move {
            let _is_in_time = tokio::time::timeout(STATEMENT_TIMEOUT * 2, open.rollback()).await;
            drop(permit);
        });
    }
}

impl From<Refused> for TransactionError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<sqlx::Error> for TransactionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error)
    }
}
