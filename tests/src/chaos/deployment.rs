//! The servers, the programs of the fleet and the gateway of a run as processes, with a proxy in every connection
//! between them. `inject` executes the faults.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regua_store::{MIGRATOR, PoolSettings, Role};
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::faults::{APIS, Link, Program};
use super::gateway::GatewayControls;
use super::instances::TENANTS;
use super::report::Check;
use crate::{Postgres, Process, Proxy, Rabbit, logs};

pub(crate) const LEASE_SECONDS: u64 = 2;

const SEND_TIMEOUT_SECONDS: u64 = 3;

/// Seconds after which an unknown attempt is looked for. At the last look, nothing frozen or delayed can still send.
const LOOKS: &str = "1,2,4,8,20";

struct Slot {
    environment: Vec<(&'static str, String)>,
    process: Mutex<Option<Process>>,
}

/// Dropping the deployment kills and removes all of it.
pub(crate) struct Deployment {
    binary: String,
    folder: PathBuf,
    slots: HashMap<Program, Slot>,
    pub(crate) proxies: HashMap<Link, Proxy>,
    pub(crate) database: Mutex<Postgres>,
    /// None: the fleet uses the embedded broker.
    pub(crate) broker: Option<Mutex<Rabbit>>,
    pub(crate) gateway: GatewayControls,
    pub(crate) apis: Vec<String>,
    /// The database without a proxy, for the checks.
    pub(crate) pool: PgPool,
}

impl Deployment {
    /// Starts the servers and the proxies. [`Self::start`] starts the programs.
    pub(crate) async fn prepare(binary: &Path, folder: PathBuf) -> Self {
        let (database, broker) = tokio::join!(Postgres::start(), broker());
        let pool = regua_store::pool(&PoolSettings {
            database_url: database.url(),
            application_name: "regua-chaos",
            role: Role::Login,
            pool_mode: regua_store::PoolMode::default(),
            max_connections: 4,
            acquire_timeout: Duration::from_secs(5),
        })
        .unwrap();
        MIGRATOR.run(&pool).await.unwrap();
        let gateway_port = crate::servers::free_port();
        let mut deployment = Self {
            binary: binary.to_str().expect("a path in UTF-8").to_owned(),
            slots: HashMap::new(),
            proxies: HashMap::new(),
            gateway: GatewayControls::new(format!("http://127.0.0.1:{gateway_port}")),
            apis: Vec::new(),
            folder,
            pool,
            database: Mutex::new(database),
            broker: broker.map(Mutex::new),
        };
        deployment.add_programs(gateway_port).await;
        deployment
    }

    async fn add_programs(&mut self, gateway_port: u16) {
        let gateway = vec![
            ("SANDBOX_PORT", gateway_port.to_string()),
            ("SANDBOX_AUTO_CREATE_INSTANCES", "true".to_owned()),
            ("SANDBOX_JOURNAL", self.journal().to_str().expect("a path in UTF-8").to_owned()),
            ("RUST_LOG", "warn".to_owned()),
        ];
        self.slots.insert(Program::Gateway, Slot { environment: gateway, process: Mutex::default() });
        for tenant in 0..TENANTS {
            let proxy = Proxy::to(&format!("127.0.0.1:{gateway_port}"), true).await;
            self.proxies.insert(Link::Gateway(tenant), proxy);
        }
        let database = self.database.lock().await.url();
        let broker = match &self.broker {
            Some(broker) => Some(broker.lock().await.url()),
            None => None,
        };
        for program in Program::fleet() {
            let (to_database, database) = Proxy::in_front_of(&database, true).await;
            self.proxies.insert(Link::Database(program), to_database);
            let mut environment = self.environment(program, database);
            if let Some(broker) = &broker {
                let (to_broker, broker) = Proxy::in_front_of(broker, true).await;
                self.proxies.insert(Link::Broker(program), to_broker);
                environment.push(("AMQP_URL", broker));
            }
            self.slots.insert(program, Slot { environment, process: Mutex::default() });
        }
    }

    fn environment(&mut self, program: Program, database: String) -> Vec<(&'static str, String)> {
        let mut environment = vec![
            ("DATABASE_URL", database),
            ("RUST_LOG", "warn,lapin=off".to_owned()),
            ("HOSTNAME", program.to_string()),
            ("SHUTDOWN_GRACE_SECONDS", "10".to_owned()),
            ("WORKER_LEASE_SECONDS", LEASE_SECONDS.to_string()),
            ("EVOLUTION_TIMEOUT_SECONDS", SEND_TIMEOUT_SECONDS.to_string()),
            ("INSTANCE_RECHECK_SECONDS", "1".to_owned()),
            ("UNCONFIRMED_LOOKS_SECONDS", LOOKS.to_owned()),
        ];
        if matches!(program, Program::Api(_)) {
            let port = crate::servers::free_port();
            environment.push(("BIND_ADDRESS", "127.0.0.1".to_owned()));
            environment.push(("PORT", port.to_string()));
            // All callers have the same address.
            environment.push(("RATE_LIMIT_IP_PER_MINUTE", "0".to_owned()));
            environment.push(("RATE_LIMIT_CHANGES_PER_MINUTE", "1000000".to_owned()));
            self.apis.push(format!("http://127.0.0.1:{port}"));
            assert!(self.apis.len() <= APIS, "no more APIs than planned");
        }
        environment
    }

    pub(crate) fn gateway_of(&self, tenant: usize) -> String {
        format!("http://{}", self.proxies[&Link::Gateway(tenant)].address)
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.join("journal.jsonl")
    }

    pub(crate) async fn start(&self, program: Program) {
        self.start_with(program, None).await;
    }

    /// Starts a program that aborts at a failpoint, `name:times`.
    pub(crate) async fn start_with_failpoint(&self, program: Program, failpoint: &str) {
        self.start_with(program, Some(("REGUA_DIE_AT", failpoint))).await;
    }

    async fn start_with(&self, program: Program, variable: Option<(&str, &str)>) {
        let slot = &self.slots[&program];
        let environment = slot.environment.iter().map(|(name, value)| (*name, value.as_str()));
        let environment: Vec<_> = environment.chain(variable).collect();
        let name = match program {
            Program::Api(_) => "api",
            Program::Worker(_) => "worker",
            Program::Periodic(_) => "periodic",
            Program::Gateway => "sandbox",
        };
        let log = self.folder.join(format!("{program}.log"));
        let process = Process::start_with_log(&self.binary, name, &environment, &log);
        *slot.process.lock().await = Some(process);
        if program == Program::Gateway {
            self.gateway.configure().await;
        }
    }

    /// Waits until a program has ended, and kills it after the timeout.
    pub(crate) async fn wait_for_exit_or_kill(&self, program: Program, timeout: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < timeout {
            let mut process = self.slots[&program].process.lock().await;
            if !process.as_mut().is_some_and(Process::is_running) {
                break;
            }
            drop(process);
            sleep(Duration::from_millis(50)).await;
        }
        self.kill(program).await;
    }

    pub(crate) async fn kill(&self, program: Program) {
        let process = self.slots[&program].process.lock().await.take();
        tokio::task::spawn_blocking(move || process.map(Process::kill)).await.unwrap();
    }

    /// Sends SIGTERM; returns whether the exit status was 0.
    pub(crate) async fn stop(&self, program: Program) -> bool {
        let process = self.slots[&program].process.lock().await.take();
        tokio::task::spawn_blocking(move || process.is_some_and(|process| process.terminate().success())).await.unwrap()
    }

    pub(crate) async fn freeze(&self, program: Program, is_frozen: bool) {
        if let Some(process) = &*self.slots[&program].process.lock().await {
            if is_frozen { process.freeze() } else { process.thaw() }
        }
    }

    pub(crate) async fn ended_programs(&self) -> Vec<Program> {
        let mut ended = Vec::new();
        for (program, slot) in &self.slots {
            let mut process = slot.process.lock().await;
            if process.as_mut().is_some_and(|process| !process.is_running()) {
                ended.push(*program);
            }
        }
        ended
    }

    /// Searches the logs of the fleet for secrets and phone numbers. The sandbox is no part of the fleet.
    pub(crate) async fn check_logs(&self) -> Check {
        #[expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]
        let phones: Vec<String> =
            sqlx::query_scalar("select distinct phone from contacts").fetch_all(&self.pool).await.unwrap();
        phones.iter().for_each(|phone| logs::register_phone(phone));
        logs::register_secret(regua_secrets::DEVELOPMENT_SECRET_KEY);
        for (_, value) in self.slots.values().flat_map(|slot| &slot.environment) {
            logs::register_password_of(value);
        }
        let mut check = Check::new("silent", "no secret and no phone number was logged");
        for program in Program::fleet() {
            let text = std::fs::read(self.folder.join(format!("{program}.log"))).unwrap_or_default();
            let leaks = logs::leaks_in(&text);
            check.record((!leaks.is_empty()).then(|| format!("{program}: {}", leaks.join("; "))));
        }
        check
    }

    pub(crate) fn log_tails(&self) -> String {
        let mut text = String::new();
        for program in Program::fleet().into_iter().chain([Program::Gateway]) {
            let log = std::fs::read_to_string(self.folder.join(format!("{program}.log"))).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let _written = writeln!(text, "--- {program}: {} lines", lines.len());
            for line in &lines[lines.len().saturating_sub(5)..] {
                let _written = writeln!(text, "{line}");
            }
        }
        text
    }
}

/// RabbitMQ; none if it is not installed, or with `BROKER=embedded`.
async fn broker() -> Option<Rabbit> {
    let is_embedded = std::env::var("BROKER").is_ok_and(|broker| broker == "embedded");
    if is_embedded { None } else { Rabbit::try_start().await }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if std::env::var_os("CHAOS_KEEP").is_none() {
            let _removed = std::fs::remove_dir_all(&self.folder);
        }
    }
}
