//! Everything that runs: the servers, the programs of the fleet and the gateway as processes, and a proxy on every way
//! between them. What becomes of it is in `inject`.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regua_store::{MIGRATOR, PoolSettings, Role};
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::gateway::Controls;
use super::report::Check;
use super::schedule::{APIS, Link, Program};
use super::tenants::TENANTS;
use crate::{Postgres, Process, Proxy, Rabbit, logs};

/// A lane's lease, in seconds.
pub(crate) const LEASE_SECONDS: u64 = 2;

/// How long the gateway may take for a send, in seconds.
const SEND_TIMEOUT_SECONDS: u64 = 3;

/// When an unconfirmed message is looked for. The last look comes later than anything that is frozen, delayed or slow in
/// this run can still send it.
const LOOKS: &str = "1,2,4,8,20";

/// One program, and how it is started.
struct Slot {
    environment: Vec<(&'static str, String)>,
    process: Mutex<Option<Process>>,
}

/// All of it. Everything is killed and removed when it is dropped.
pub(crate) struct Stage {
    binary: String,
    folder: PathBuf,
    slots: HashMap<Program, Slot>,
    /// The ways with a proxy in them.
    pub(crate) proxies: HashMap<Link, Proxy>,
    pub(crate) database: Mutex<Postgres>,
    /// None: the fleet has the broker inside PostgreSQL.
    pub(crate) broker: Option<Mutex<Rabbit>>,
    pub(crate) controls: Controls,
    /// Where the APIs listen.
    pub(crate) apis: Vec<String>,
    /// The database without a proxy, for the run's own looks.
    pub(crate) pool: PgPool,
}

impl Stage {
    /// Starts the servers and makes the proxies; the programs come by `start`.
    pub(crate) async fn set(binary: &Path, folder: PathBuf) -> Self {
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
        let mut stage = Self {
            binary: binary.to_str().expect("a path in UTF-8").to_owned(),
            slots: HashMap::new(),
            proxies: HashMap::new(),
            controls: Controls::at(format!("http://127.0.0.1:{gateway_port}")),
            apis: Vec::new(),
            folder,
            pool,
            database: Mutex::new(database),
            broker: broker.map(Mutex::new),
        };
        stage.prepare(gateway_port).await;
        stage
    }

    async fn prepare(&mut self, gateway_port: u16) {
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
            let (to_database, database) = Proxy::before(&database, true).await;
            self.proxies.insert(Link::Database(program), to_database);
            let mut environment = self.environment(program, database);
            if let Some(broker) = &broker {
                let (to_broker, broker) = Proxy::before(broker, true).await;
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
            // All callers have one address.
            environment.push(("RATE_LIMIT_IP_PER_MINUTE", "0".to_owned()));
            self.apis.push(format!("http://127.0.0.1:{port}"));
            assert!(self.apis.len() <= APIS, "no more APIs than planned");
        }
        environment
    }

    /// The gateway as this tenant's numbers reach it.
    pub(crate) fn gateway_of(&self, tenant: usize) -> String {
        format!("http://{}", self.proxies[&Link::Gateway(tenant)].address)
    }

    /// Where the gateway writes what left.
    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.join("journal.jsonl")
    }

    /// Starts a program that does not run.
    pub(crate) async fn start(&self, program: Program) {
        self.start_with(program, None).await;
    }

    /// Starts a program that dies at a place.
    pub(crate) async fn start_doomed(&self, program: Program, place: &str) {
        self.start_with(program, Some(("REGUA_DIE_AT", place))).await;
    }

    async fn start_with(&self, program: Program, doom: Option<(&str, &str)>) {
        let slot = &self.slots[&program];
        let environment = slot.environment.iter().map(|(name, value)| (*name, value.as_str()));
        let environment: Vec<_> = environment.chain(doom).collect();
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
            self.controls.tell_all().await;
        }
    }

    /// Waits until a program has died; one that is not dead after so long is killed.
    pub(crate) async fn died(&self, program: Program, patience: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            let mut process = self.slots[&program].process.lock().await;
            if !process.as_mut().is_some_and(Process::is_running) {
                break;
            }
            drop(process);
            sleep(Duration::from_millis(50)).await;
        }
        self.kill(program).await;
    }

    /// `kill -9`.
    pub(crate) async fn kill(&self, program: Program) {
        let process = self.slots[&program].process.lock().await.take();
        tokio::task::spawn_blocking(move || process.map(Process::kill)).await.unwrap();
    }

    /// SIGTERM; whether it ended as it should.
    pub(crate) async fn end(&self, program: Program) -> bool {
        let process = self.slots[&program].process.lock().await.take();
        tokio::task::spawn_blocking(move || process.is_some_and(|process| process.terminate().success())).await.unwrap()
    }

    /// SIGSTOP or SIGCONT.
    pub(crate) async fn freeze(&self, program: Program, is_frozen: bool) {
        if let Some(process) = &*self.slots[&program].process.lock().await {
            if is_frozen { process.freeze() } else { process.thaw() }
        }
    }

    /// The programs that ended by themselves.
    pub(crate) async fn deserters(&self) -> Vec<Program> {
        let mut deserters = Vec::new();
        for (program, slot) in &self.slots {
            let mut process = slot.process.lock().await;
            if process.as_mut().is_some_and(|process| !process.is_running()) {
                deserters.push(*program);
            }
        }
        deserters
    }

    /// Whether anything secret stands in what all programs said; the sandbox, which is the other side, excepted.
    pub(crate) async fn leaks(&self) -> Check {
        #[expect(clippy::disallowed_methods, reason = "a test looks at the tables directly")]
        let phones: Vec<String> =
            sqlx::query_scalar("select distinct phone from contacts").fetch_all(&self.pool).await.unwrap();
        phones.iter().for_each(|phone| logs::keep_phone(phone));
        logs::keep_secret(regua_boot::DEVELOPMENT_SECRET_KEY);
        for (_, value) in self.slots.values().flat_map(|slot| &slot.environment) {
            logs::keep_password_of(value);
        }
        let mut check = Check::new("silent", "no secret and no telephone number was logged");
        for program in Program::fleet() {
            let text = std::fs::read(self.folder.join(format!("{program}.log"))).unwrap_or_default();
            let leaks = logs::leaks_in(&text);
            check.look((!leaks.is_empty()).then(|| format!("{program}: {}", leaks.join("; "))));
        }
        check
    }

    /// The ends of all logs, for whoever asks what went wrong.
    pub(crate) fn logs(&self) -> String {
        let mut told = String::new();
        for program in Program::fleet().into_iter().chain([Program::Gateway]) {
            let log = std::fs::read_to_string(self.folder.join(format!("{program}.log"))).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let _written = writeln!(told, "--- {program}: {} lines", lines.len());
            for line in &lines[lines.len().saturating_sub(5)..] {
                let _written = writeln!(told, "{line}");
            }
        }
        told
    }
}

/// RabbitMQ, unless it is not wanted (`BROKER=embedded`) or not installed.
async fn broker() -> Option<Rabbit> {
    let is_embedded = std::env::var("BROKER").is_ok_and(|broker| broker == "embedded");
    if is_embedded { None } else { Rabbit::try_start().await }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::env::var_os("CHAOS_KEEP").is_none() {
            let _was_there = std::fs::remove_dir_all(&self.folder);
        }
    }
}
