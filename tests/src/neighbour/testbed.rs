//! The deployment of one attack: a fresh database, the programs and the sandbox as processes, and two tenants, the
//! victim and the attacker.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use regua_boot::Clock;
use regua_domain::UserRole;
use regua_evolution::{EvolutionClient, InstanceAddress, Token};
use regua_store::instances;
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor};

use super::Settings;
use super::attack::{Attack, Target};
use super::victim::Credentials;
use crate::{Database, Process, Tenant, TenantOptions, TestUser, eventually, logs};

/// Instances of each tenant.
const NUMBERS: usize = 10;
/// When the gateway reports that a message was delivered: after the worker has stored that it was sent.
pub(super) const DELIVERED_AFTER_MS: u64 = 1000;
/// Descriptors of the worker.
const WORKER_DESCRIPTORS: u32 = 2000;
/// WAL files of 16 MiB, more than a run writes.
const WAL_FILES: usize = 64;
/// Messages whose receipts are read before the victim is measured.
const FIRST_RECEIPTS: i64 = 10;

/// Where the programs of the fleet are.
#[derive(Clone, Debug)]
pub enum Binaries {
    /// A folder with `regua-api` and the others.
    Folder(PathBuf),
    /// The tests' binary `regua-test-process`.
    TestProcess(PathBuf),
}

impl Binaries {
    fn command(&self, program: &str, descriptors: u32) -> Command {
        let (path, argument) = match self {
            Self::Folder(folder) => (folder.join(format!("regua-{program}")), None),
            Self::TestProcess(path) => (path.clone(), Some(program)),
        };
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")]).arg(path).args(argument);
        command
    }
}

pub(super) struct Testbed {
    pub(super) database: Database,
    /// `regua-api`, `regua-worker`, `regua-periodic`.
    pub(super) programs: [Process; 3],
    _sandbox: Process,
    api: String,
    gateway: String,
    pub(super) victim: Tenant,
    console: TestUser,
    attacker: Tenant,
    owner: TestUser,
    webhook_secret: String,
}

impl Testbed {
    pub(super) async fn start(attack: Attack, settings: &Settings) -> Self {
        regua_boot::init_tls();
        let database = Database::fresh().await;
        let (sandbox, gateway) = start_sandbox(&settings.binaries).await;
        let port = crate::servers::free_port();
        let api = format!("http://127.0.0.1:{port}");
        let programs = start_programs(settings, &database, port);
        let ready = format!("{api}/readyz");
        eventually("the API to be ready", async || {
            reqwest::Client::new().get(&ready).send().await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        let victim = create_tenant(&database, &gateway, "vitima", 60).await;
        let attacker = create_tenant(&database, &gateway, "atacante", attack.messages_per_minute()).await;
        let concurrency = format!("update instances set lane_concurrency = 256 where tenant_id = '{}'", attacker.id);
        database.pool.execute(AssertSqlSafe(concurrency)).await.unwrap();
        let console = create_user(&database, &api, &victim, UserRole::Viewer, "ana").await;
        let console = console.from_address(&victim_address().to_string()).at_console().await;
        let owner = create_user(&database, &api, &attacker, UserRole::Owner, "rui").await;
        let mut testbed = Self {
            database,
            programs,
            _sandbox: sandbox,
            api,
            gateway,
            victim,
            console,
            attacker,
            owner,
            webhook_secret: String::new(),
        };
        testbed.subscribe(&testbed.victim, [7; 32]).await;
        testbed.webhook_secret = testbed.subscribe(&testbed.attacker, [8; 32]).await;
        testbed
    }

    /// Lets the gateway post webhooks of all numbers of the tenant to the API; returns their secret.
    async fn subscribe(&self, tenant: &Tenant, random: [u8; 32]) -> String {
        let (secret, hash) = regua_api::keys::secret_with_hash(&random);
        logs::register_secret(&secret);
        let client = EvolutionClient::new(crate::gateway_settings()).unwrap();
        for (n, (instance, token)) in tenant.instances.iter().zip(&tenant.tokens).enumerate() {
            let mut conn = self.database.pool.acquire().await.unwrap();
            instances::set_webhook_secret(&mut conn, tenant.id, *instance, &hash).await.unwrap();
            let token = Token::parse(token).unwrap();
            let address = InstanceAddress::parse(&self.gateway, &instance_name(tenant.slug, n), token).unwrap();
            let url = format!("{}{}", self.api, webhook_path(tenant, n));
            client.set_webhook(&address, &url, ("X-Regua-Webhook-Secret", &secret)).await.unwrap();
        }
        secret
    }

    pub(super) fn target(&self, divisor: usize) -> Target {
        Target {
            api: self.api.trim_start_matches("http://").parse().unwrap(),
            gateway: self.gateway.clone(),
            key: self.attacker.key.clone(),
            bearer: self.owner.bearer.clone().expect("an access token"),
            instances: (0..NUMBERS).map(|n| instance_name(self.attacker.slug, n)).collect(),
            webhook: webhook_path(&self.attacker, 0),
            webhook_secret: self.webhook_secret.clone(),
            victim_address: victim_address(),
            divisor,
            prepared: String::new(),
        }
    }

    pub(super) fn victim(&self) -> Credentials {
        Credentials {
            api: self.api.clone(),
            address: victim_address(),
            key: self.victim.key.clone(),
            cookie: self.console.cookie.clone().expect("the console's cookie"),
            instances: (0..NUMBERS).map(|n| instance_name(self.victim.slug, n)).collect(),
        }
    }

    /// Gives PostgreSQL the statistics that it has after a day.
    pub(super) async fn analyze(&self) {
        self.database.pool.execute("vacuum analyze").await.unwrap();
    }

    /// Waits until the receipts of the victim's first messages are read, so that all programs have work.
    pub(super) async fn wait_for_receipts(&self) {
        let delivered = format!(
            "select count(*) from contacts where tenant_id = '{}' and delivered_at is not null",
            self.victim.id
        );
        eventually("the first receipts", async || self.count(&delivered).await >= Some(FIRST_RECEIPTS)).await;
    }

    /// Waits until every accepted message of the victim has left; returns how many have not after a minute.
    pub(super) async fn count_unsent(&self) -> i64 {
        let unsent =
            format!("select count(*) from contacts where tenant_id = '{}' and status <> 'sent'", self.victim.id);
        for _ in 0..120 {
            if self.count(&unsent).await == Some(0) {
                return 0;
            }
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
        self.count(&unsent).await.unwrap_or(i64::MAX)
    }

    /// The number that a query returns; none while the database does not answer.
    pub(super) async fn count(&self, query: &str) -> Option<i64> {
        #[expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&self.database.pool).await.ok()
    }
}

/// Gives the PostgreSQL server the WAL files that it has after a day; a new server creates them in the middle of a
/// commit.
pub async fn prepare_server() {
    let database = Database::fresh().await;
    for _ in 0..WAL_FILES {
        database.pool.execute("select pg_logical_emit_message(false, '', ''), pg_switch_wal()").await.unwrap();
    }
    database.pool.execute("checkpoint").await.unwrap();
}

async fn start_sandbox(binaries: &Binaries) -> (Process, String) {
    let port = crate::servers::free_port().to_string();
    let environment =
        [("SANDBOX_PORT", port.as_str()), ("SANDBOX_AUTO_CREATE_INSTANCES", "true"), ("RUST_LOG", "warn")];
    let sandbox = Process::of_command(binaries.command("sandbox", 10_000), "sandbox", &environment);
    let gateway = format!("http://127.0.0.1:{port}");
    let statuses = json!({ "delivery_ack_ms": DELIVERED_AFTER_MS });
    let http = reqwest::Client::new();
    eventually("the sandbox to answer", async || {
        http.put(format!("{gateway}/sandbox/statuses")).json(&statuses).send().await.is_ok()
    })
    .await;
    (sandbox, gateway)
}

fn start_programs(settings: &Settings, database: &Database, port: u16) -> [Process; 3] {
    let namespace = format!("n{:032x}", crate::database::random());
    let amqp_url = std::env::var("AMQP_URL").unwrap_or_default();
    let (port, requests) = (port.to_string(), settings.concurrent_requests.to_string());
    let mut environment = vec![
        ("DATABASE_URL", database.url.as_str()),
        ("AMQP_NAMESPACE", namespace.as_str()),
        ("RUST_LOG", "info,lapin=off"),
        ("BIND_ADDRESS", "127.0.0.1"),
        ("PORT", port.as_str()),
        ("MAX_CONCURRENT_REQUESTS", requests.as_str()),
    ];
    if !amqp_url.is_empty() {
        environment.push(("AMQP_URL", amqp_url.as_str()));
    }
    [("api", 10_000), ("worker", WORKER_DESCRIPTORS), ("periodic", 10_000)].map(|(program, descriptors)| {
        Process::of_command(settings.binaries.command(program, descriptors), program, &environment)
    })
}

async fn create_tenant(database: &Database, gateway: &str, slug: &'static str, rate: i32) -> Tenant {
    let instances = (0..NUMBERS).map(|n| instance_name(slug, n)).collect();
    let options = TenantOptions { slug, rate, instances, requests_per_minute: 60_000, ..TenantOptions::default() };
    Tenant::create(&database.pool, gateway, &options, Clock::system().now()).await
}

async fn create_user(database: &Database, api: &str, tenant: &Tenant, role: UserRole, name: &str) -> TestUser {
    let (mut user, invitation) =
        TestUser::invited_at(&database.pool, api, Clock::system().now(), tenant, role, name).await;
    let accepted = user.accept(&invitation, crate::PASSWORD).await;
    assert!(accepted.status.is_success(), "{:#}", accepted.body);
    user.log_in().await;
    user
}

fn instance_name(slug: &str, n: usize) -> String {
    format!("{slug}-{n}")
}

fn webhook_path(tenant: &Tenant, n: usize) -> String {
    format!("/webhooks/evolution/{}/{}", tenant.id, tenant.instances[n])
}

/// An address of the loopback network that no attack uses, except the one from the victim's own network.
fn victim_address() -> IpAddr {
    IpAddr::from([127, 0, 0, 100])
}
