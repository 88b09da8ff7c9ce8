//! Accepted contacts a second, over HTTP and below it, beside COPY of the same rows into the same table.
//!
//! One caller posts batches of 10,000 one after the other; their bodies are built before. Each of the three ways starts
//! with an empty table and a checkpoint, and each batch (or COPY) has its own commit.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::StreamExt;
use regua_api::harness::Intake;
use regua_api::{Api, ApiMetrics, ApiSettings};
use regua_boot::{Clock, Registry};
use regua_broker::{BrokerSettings, QueueType};
use regua_domain::MessageType;
use regua_secrets::SecretKeys;
use sqlx::{AssertSqlSafe, Executor, PgConnection, PgPool};

use crate::erp::{Erp, batch};
use crate::gateway::Gateway;
use crate::report::{Figure, Goal};
use crate::sizes::Sizes;
use crate::tenants::{Pace, Tenant};
use crate::testbed::Testbed;

/// Contacts of a batch.
pub(crate) const BATCH: usize = 10_000;
/// The columns that intake writes.
const COLUMNS: &str = "tenant_id, queue_id, contact_id, position, external_id, name, phone, due_date, amount_cents, \
    variables, metadata, variation, reference, text, due_at, created_at, updated_at";

/// Contacts a second.
pub(crate) struct Intakes {
    pub(crate) over_http: f64,
    /// By calls of the handler.
    pub(crate) below_http: f64,
    /// The limit.
    pub(crate) copy: f64,
}

pub(crate) async fn run(testbed: &Testbed, batches: usize) -> anyhow::Result<Intakes> {
    let tenant = Tenant::create(&testbed.pool, &testbed.gateway, "acme", 1, Pace::UNTHROTTLED).await?;
    let mut conn = testbed.connect().await?;
    let over_http = over_http(testbed, &tenant, "http", batches).await?;
    empty(&mut conn).await?;
    let below_http = below_http(&testbed.pool, &tenant, batches).await?;
    let copy = copy(&mut conn).await?;
    Ok(Intakes { over_http, below_http, copy })
}

/// Contacts a second of posted batches. The first one warms the API up and does not count.
pub(crate) async fn over_http(testbed: &Testbed, tenant: &Tenant, prefix: &str, batches: usize) -> anyhow::Result<f64> {
    let (api, url) = testbed.api().await?;
    let erp = Erp::new(&url, &tenant.api_key)?;
    let mut bodies = bodies(tenant, prefix, batches + 1)?.into_iter();
    erp.post(bodies.next().context("no batch")?).await?;
    let started = Instant::now();
    for body in bodies {
        erp.post(body).await?;
    }
    let took = started.elapsed();
    api.terminate()?;
    Ok(contacts_per_second(batches, took))
}

async fn below_http(pool: &PgPool, tenant: &Tenant, batches: usize) -> anyhow::Result<f64> {
    let settings = BrokerSettings {
        amqp_urls: None,
        namespace: "bench".to_owned(),
        queue_type: QueueType::Classic,
        prefetch: 1,
        connection_name: "regua-bench".to_owned(),
    };
    let broker = regua_broker::connect(&settings, pool.clone());
    let (clock, metrics) = (Clock::system(), ApiMetrics::new(&Registry::default())?);
    let api = Api {
        pool: pool.clone(),
        replica: None,
        broker,
        clock,
        metrics,
        secrets: SecretKeys::development(),
        settings: ApiSettings::default(),
    };
    let intake = Intake::open(api, &tenant.api_key).await?;
    let mut bodies = bodies(tenant, "below", batches + 1)?.into_iter();
    intake.post(MessageType::Overdue, bodies.next().context("no batch")?).await?;
    let started = Instant::now();
    for body in bodies {
        intake.post(MessageType::Overdue, body).await?;
    }
    Ok(contacts_per_second(batches, started.elapsed()))
}

/// Copies the stored rows out, empties the table, and times copying them in.
async fn copy(conn: &mut PgConnection) -> anyhow::Result<f64> {
    let queues: Vec<String> =
        sqlx::query_scalar("select distinct queue_id::text from contacts").fetch_all(&mut *conn).await?;
    conn.execute(AssertSqlSafe(format!("create temporary table copied as select {COLUMNS} from contacts"))).await?;
    let mut batches = Vec::with_capacity(queues.len());
    for queue in queues {
        let rows = format!("select {COLUMNS} from copied where queue_id = '{queue}' order by position");
        batches.push(copy_out(conn, &rows).await?);
    }
    empty(conn).await?;
    let statement = format!("copy contacts ({COLUMNS}) from stdin");
    let mut started = Instant::now();
    let timed = batches.len() - 1;
    for (place, rows) in batches.into_iter().enumerate() {
        let mut into = conn.copy_in_raw(&statement).await?;
        into.send(rows).await?;
        into.finish().await?;
        if place == 0 {
            started = Instant::now(); // the first COPY warms up, like the first batch
        }
    }
    Ok(contacts_per_second(timed, started.elapsed()))
}

async fn copy_out(conn: &mut PgConnection, rows: &str) -> anyhow::Result<Vec<u8>> {
    let mut chunks = conn.copy_out_raw(&format!("copy ({rows}) to stdout")).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

async fn empty(conn: &mut PgConnection) -> anyhow::Result<()> {
    conn.execute("truncate contacts cascade").await?;
    conn.execute("checkpoint").await?;
    Ok(())
}

fn bodies(tenant: &Tenant, prefix: &str, batches: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let instance = &tenant.instances.first().context("no instance")?.name;
    Ok((0..batches).map(|place| batch(&format!("{prefix}-{place}"), instance, BATCH, place * BATCH)).collect())
}

fn contacts_per_second(batches: usize, took: Duration) -> f64 {
    (batches * BATCH) as f64 / took.as_secs_f64()
}

pub(crate) async fn measure(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let intakes =
        Testbed::with("intake", Gateway::sandbox().await?, async |testbed| run(testbed, sizes.intake_batches).await)
            .await?;
    let how = format!("{} batches of {BATCH}, one caller", sizes.intake_batches);
    Ok(vec![
        Figure::new("intake over HTTP", intakes.over_http, "contacts/s", how)
            .beside("COPY", intakes.copy)
            .goal(Goal::FractionOfLimit(0.5)),
        Figure::new("intake below HTTP", intakes.below_http, "contacts/s", "the handler, called")
            .beside("COPY", intakes.copy),
    ])
}
