//! Every process in this one: the API, a worker, periodic and the sandbox, each through the `run` that its own program
//! calls. For `regua dev` and `regua demo`.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use regua_api::{Api, ApiSettings};
use regua_boot::{
    BrokerArguments, Clock, DatabaseArguments, LogArguments, Metrics, SecretArguments, SecretKeys, Services,
    TelemetryFormat,
};
use regua_evolution::{AllowedNetworks, ClientSettings, EvolutionClient};
use regua_periodic::{Periodic, PeriodicSettings};
use regua_sandbox::{InstanceSettings, Sandbox, Settings};
use regua_store::Role;
use regua_worker::{Worker, WorkerSettings};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::example_tenant::{INSTANCE, TOKEN};
use crate::{database, output};

/// How long a database that is just starting is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What both commands take.
#[derive(Args, Debug)]
pub(crate) struct FleetArguments {
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    broker: BrokerArguments,
    #[command(flatten)]
    secrets: SecretArguments,
    /// How logs are written
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = TelemetryFormat::Pretty)]
    log_format: TelemetryFormat,
    /// What is logged: a level, or levels by module
    #[arg(long, env = "RUST_LOG", default_value = "warn,lapin=off")]
    log: String,
    /// Also with a database on another machine
    #[arg(long)]
    yes: bool,
}

/// The running fleet.
pub(crate) struct Fleet {
    /// PostgreSQL and the broker, as the programs have them.
    services: Services,
    /// PostgreSQL as the operator has it.
    pub(crate) pool: PgPool,
    /// What stands in for Evolution API.
    pub(crate) sandbox: Sandbox,
    /// Where the API is.
    pub(crate) api: String,
    /// Where the sandbox is.
    pub(crate) gateway: String,
    /// What seals the number's token.
    pub(crate) secrets: SecretKeys,
    /// Whether everybody knows that.
    has_known_key: bool,
    clock: Clock,
    metrics: Metrics,
}

/// The fleet's programs while they run.
pub(crate) struct Programs {
    running: JoinSet<(&'static str, anyhow::Result<()>)>,
    stop: CancellationToken,
}

impl Fleet {
    /// Migrates the database and opens the two doors: the API on `api_port` (none: a free one) and the sandbox on
    /// `sandbox_port`, or on a free one where that is taken. Nothing is sent yet.
    pub(crate) async fn open(
        command: &'static str,
        arguments: &FleetArguments,
        api_port: Option<u16>,
        sandbox_port: u16,
    ) -> anyhow::Result<(Self, Programs)> {
        let log = LogArguments { format: arguments.log_format, filter: arguments.log.clone() };
        regua_boot::start_logging(&log);
        database::refuse_other_machines(&arguments.database, arguments.yes, command)?;
        for migration in database::migrate(&arguments.database, None, PATIENCE).await? {
            output::remark(format_args!("applied migration {:04} {}", migration.version, migration.description));
        }
        let services = Services::open("regua", Role::Fleet, &arguments.database, &arguments.broker)?;
        let api_listener = listen(api_port.unwrap_or(0)).await?;
        let sandbox_listener = match listen(sandbox_port).await {
            Ok(listener) => listener,
            Err(_) => listen(0).await?,
        };
        let instances = vec![InstanceSettings::connected(INSTANCE, TOKEN)];
        let fleet = Self {
            services,
            pool: database::open(&arguments.database)?,
            sandbox: Sandbox::new(Settings { instances, ..Settings::default() })?,
            api: address(&api_listener)?,
            gateway: address(&sandbox_listener)?,
            secrets: arguments.secrets.keys_or_development()?,
            has_known_key: !arguments.secrets.is_set(),
            clock: Clock::system(),
            metrics: Metrics::new()?,
        };
        let programs = fleet.start_doors(api_listener, sandbox_listener);
        Ok((fleet, programs))
    }

    fn start_doors(&self, api_listener: TcpListener, sandbox_listener: TcpListener) -> Programs {
        let mut programs = Programs { running: JoinSet::new(), stop: CancellationToken::new() };
        let (sandbox, stop) = (self.sandbox.clone(), programs.stop.clone());
        programs.start("the sandbox", async move { sandbox.serve(sandbox_listener, stop).await });
        let Services { pool, broker } = self.services.clone();
        let settings = ApiSettings { public_url: Some(self.api.clone()), ..ApiSettings::default() };
        let api = Api {
            pool,
            replica: None,
            broker,
            secrets: self.secrets.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            settings,
        };
        programs.start("the API", regua_api::run(api, api_listener, programs.stop.clone()));
        programs
    }

    /// Starts a worker and periodic: from now on messages leave.
    pub(crate) fn start_senders(&self, programs: &mut Programs) -> anyhow::Result<()> {
        let Services { pool, broker } = self.services.clone();
        // The sandbox listens on this machine.
        let networks = AllowedNetworks::with_loopback();
        let gateway = EvolutionClient::new(ClientSettings::with_networks(networks))?;
        let worker = Worker {
            pool,
            broker,
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            gateway: gateway.clone(),
            secrets: self.secrets.clone(),
            settings: WorkerSettings::named(regua_worker::config::unique_name()),
        };
        programs.start("the worker", regua_worker::run(worker, programs.stop.clone()));
        let Services { pool, broker } = self.services.clone();
        let (clock, metrics, secrets) = (self.clock.clone(), self.metrics.clone(), self.secrets.clone());
        let settings = PeriodicSettings::default();
        let periodic = Periodic { pool, broker, clock, metrics, gateway, secrets, settings };
        programs.start("periodic", regua_periodic::run(periodic, programs.stop.clone()));
        Ok(())
    }

    /// Which key seals secrets, for people.
    pub(crate) const fn secret_key(&self) -> &'static str {
        if self.has_known_key { "a development key that everybody knows" } else { "REGUA_SECRET_KEY" }
    }

    /// Which broker carries the doorbells, for people.
    pub(crate) fn broker(&self) -> &'static str {
        if self.services.broker.name() == "rabbitmq" { "RabbitMQ" } else { "the embedded broker inside PostgreSQL" }
    }
}

impl Programs {
    fn start(&mut self, name: &'static str, program: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.running.spawn(async move { (name, program.await) });
    }

    /// Returns when a program ended although nobody asked it to.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        match self.running.join_next().await {
            Some(Ok((name, Err(error)))) => error.context(format!("{name} failed")),
            Some(Ok((name, Ok(())))) => anyhow::anyhow!("{name} ended by itself"),
            Some(Err(error)) => error.into(),
            None => std::future::pending().await,
        }
    }

    /// Asks all programs to end, and waits until they have: what is on its way is finished, leases are given back.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            let (name, ended) = ended?;
            ended.with_context(|| format!("{name} failed while it ended"))?;
        }
        Ok(())
    }
}

async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        if error.kind() == ErrorKind::AddrInUse {
            anyhow::anyhow!("port {port} is in use: choose another with --port")
        } else {
            anyhow::anyhow!("cannot listen on port {port}: {error}")
        }
    })
}

fn address(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}
