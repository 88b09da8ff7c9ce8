//! The program `regua-worker`: reads its configuration and runs.

use clap::Parser;
use regua_boot::{Clock, Metrics, Services};
use regua_evolution::{ClientSettings, EvolutionClient};
use regua_worker::config::{Config, unique_name};
use regua_worker::{Worker, run};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    regua_boot::start_logging(&config.log);
    regua_boot::init_tls();
    let shutdown = regua_boot::on_signal()?;
    let metrics = Metrics::new()?;
    let services = Services::open("regua-worker", &config.database, &config.broker)?;
    let send_timeout = std::time::Duration::from_secs(config.evolution_timeout_seconds);
    let gateway = EvolutionClient::new(ClientSettings { send_timeout, ..ClientSettings::default() })?;
    let listener = tokio::net::TcpListener::bind(("0.0.0.0", config.metrics_port)).await?;
    let routes = regua_boot::health_routes(metrics.clone(), services.probes());
    let health = tokio::spawn(regua_boot::serve(listener, routes, shutdown.clone()));
    let settings = config.settings(unique_name());
    let Services { pool, broker } = services;
    run(Worker { pool, broker, clock: Clock::system(), metrics, gateway, settings }, shutdown).await?;
    health.await?
}
