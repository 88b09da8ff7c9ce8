//! Every program of the fleet in this process, for `regua dev` and `regua demo`: the API, a worker, periodic and the
//! sandbox, each by the `run` of its own binary.

pub(crate) mod api_keys;
pub(crate) mod example_tenant;

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use regua_api::{Api, ApiMetrics, ApiSettings};
use regua_boot::{BrokerArguments, Clock, DatabaseArguments, LogArguments, Registry, Services, TelemetryFormat};
use regua_evolution::{AllowedNetworks, ClientSettings, EvolutionClient};
use regua_periodic::{Periodic, PeriodicMetrics, PeriodicSettings};
use regua_sandbox::{InstanceSettings, Sandbox, Settings};
use regua_secrets::{SecretArguments, SecretKeys};
use regua_store::Role;
use regua_worker::{Worker, WorkerMetrics, WorkerSettings};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::example_tenant::{INSTANCE, TOKEN};
use crate::{database, output};

/// Wait for a database that is starting.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Args, Debug)]
pub(crate) struct FleetArguments {
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    broker: BrokerArguments,
    #[command(flatten)]
    secrets: SecretArguments,
    /// Format of the logs
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = TelemetryFormat::Pretty)]
    log_format: TelemetryFormat,
    /// Filter of the logs: a level, or levels by module
    #[arg(long, env = "RUST_LOG", default_value = "warn,lapin=off")]
    log: String,
    /// Allow a database on another machine
    #[arg(long)]
    yes: bool,
}

pub(crate) struct Fleet {
    /// PostgreSQL with the role of the fleet, and the broker.
    services: Services,
    /// PostgreSQL with the role of the platform.
    pub(crate) pool: PgPool,
    pub(crate) sandbox: Sandbox,
    /// The API's address.
    pub(crate) api: String,
    /// The sandbox's address.
    pub(crate) gateway: String,
    /// The keys that seal the token of the instance.
    pub(crate) secrets: SecretKeys,
    uses_development_key: bool,
    registry: Registry,
}

pub(crate) struct Programs {
    running: JoinSet<(&'static str, anyhow::Result<()>)>,
    stop: CancellationToken,
}

impl Fleet {
    /// Migrates the database and starts the API on `api_port` (none: a free port) and the sandbox on `sandbox_port` (or
    /// a free port, if that is in use). No message is sent before [`Self::start_senders`].
    pub(crate) async fn open(
        command: &'static str,
        arguments: &FleetArguments,
        api_port: Option<u16>,
        sandbox_port: u16,
    ) -> anyhow::Result<(Self, Programs)> {
        let log = LogArguments { format: arguments.log_format, filter: arguments.log.clone() };
        regua_boot::start_logging(&log);
        database::require_local(&arguments.database, arguments.yes, command)?;
        for migration in database::migrate(&arguments.database, None, DATABASE_TIMEOUT).await? {
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
            uses_development_key: !arguments.secrets.is_set(),
            registry: Registry::default(),
        };
        let programs = fleet.start_servers(api_listener, sandbox_listener)?;
        Ok((fleet, programs))
    }

    fn start_servers(&self, api_listener: TcpListener, sandbox_listener: TcpListener) -> anyhow::Result<Programs> {
        let mut programs = Programs { running: JoinSet::new(), stop: CancellationToken::new() };
        let (sandbox, stop) = (self.sandbox.clone(), programs.stop.clone());
        programs.start("the sandbox", async move { sandbox.serve(sandbox_listener, stop).await });
        let Services { pool, broker } = self.services.clone();
        let settings = ApiSettings {
            public_url: Some(self.api.clone()),
            // The sandbox listens on this machine.
            gateway_networks: AllowedNetworks::with_loopback(),
            ..ApiSettings::default()
        };
        let (clock, secrets, metrics) = (Clock::system(), self.secrets.clone(), ApiMetrics::new(&self.registry)?);
        let api = Api { pool, replica: None, broker, secrets, clock, metrics, settings };
        programs.start("the API", regua_api::run(api, api_listener, programs.stop.clone()));
        Ok(programs)
    }

    /// Starts a worker and periodic, which send messages.
    pub(crate) fn start_senders(&self, programs: &mut Programs) -> anyhow::Result<()> {
        let Services { pool, broker } = self.services.clone();
        let networks = AllowedNetworks::with_loopback();
        let gateway = EvolutionClient::new(ClientSettings::with_networks(networks))?;
        let worker = Worker {
            pool,
            broker,
            clock: Clock::system(),
            metrics: WorkerMetrics::new(&self.registry)?,
            gateway: gateway.clone(),
            secrets: self.secrets.clone(),
            settings: WorkerSettings::named(regua_worker::config::unique_name()),
        };
        programs.start("the worker", regua_worker::run(worker, programs.stop.clone()));
        let Services { pool, broker } = self.services.clone();
        let (clock, secrets) = (Clock::system(), self.secrets.clone());
        let metrics = PeriodicMetrics::new(&self.registry)?;
        let settings = PeriodicSettings::default();
        let periodic = Periodic { pool, broker, clock, metrics, gateway, secrets, settings };
        programs.start("periodic", regua_periodic::run(periodic, programs.stop.clone()));
        Ok(())
    }

    pub(crate) fn print_addresses(&self, key: &str) -> anyhow::Result<()> {
        let Self { api, gateway, .. } = self;
        let secret_key = if self.uses_development_key { "the public development key" } else { "REGUA_SECRET_KEY" };
        output::line(format_args!("  API             {api}/api/v1/billing"))?;
        output::line(format_args!("  documentation   {api}/docs"))?;
        output::line(format_args!("  metrics         {api}/metrics"))?;
        output::line(format_args!("  what has left   {gateway}/sandbox/ledger"))?;
        output::line(format_args!("  key             {key}"))?;
        output::line(format_args!("  secrets         sealed with {secret_key}"))?;
        output::line(format_args!("  broker          {}", self.broker()))
    }

    pub(crate) fn broker(&self) -> &'static str {
        if self.services.broker.name() == "rabbitmq" { "RabbitMQ" } else { "the embedded broker inside PostgreSQL" }
    }
}

impl Programs {
    fn start(&mut self, name: &'static str, program: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.running.spawn(async move { (name, program.await) });
    }

    /// Runs until `work` ends, a program fails, or `shutdown`, where the result is none; then stops all programs.
    pub(crate) async fn run_until<T>(
        mut self,
        shutdown: &CancellationToken,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<Option<T>> {
        let ended = tokio::select! {
            biased;
            done = work => done.map(Some),
            error = self.failed() => Err(error),
            () = shutdown.cancelled() => Ok(None),
        };
        if shutdown.is_cancelled() {
            output::remark("\nstopping …");
        }
        let stopped = self.stop().await;
        ended.and_then(|ended| stopped.map(|()| ended))
    }

    /// Returns when a program ends before [`Self::stop`].
    async fn failed(&mut self) -> anyhow::Error {
        match self.running.join_next().await {
            Some(Ok((name, Err(error)))) => error.context(format!("{name} failed")),
            Some(Ok((name, Ok(())))) => anyhow::anyhow!("{name} ended by itself"),
            Some(Err(error)) => error.into(),
            None => std::future::pending().await,
        }
    }

    /// Stops all programs and waits for them: the worker finishes its posts and gives its leases back.
    async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            let (name, ended) = ended?;
            ended.with_context(|| format!("{name} failed while it stopped"))?;
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
