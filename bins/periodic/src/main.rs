//! The program `regua-periodic`: reads its configuration and runs.

use clap::Parser;
use regua_boot::{Clock, Metrics, Services};
use regua_periodic::config::Config;
use regua_periodic::{Periodic, run};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    regua_boot::start_logging(&config.log);
    regua_boot::init_tls();
    let shutdown = regua_boot::on_signal()?;
    let metrics = Metrics::new()?;
    let services = Services::open("regua-periodic", &config.database, &config.broker)?;
    let listener = tokio::net::TcpListener::bind(("0.0.0.0", config.metrics_port)).await?;
    let routes = regua_boot::health_routes(metrics.clone(), services.probes());
    let health = tokio::spawn(regua_boot::serve(listener, routes, shutdown.clone()));
    let Services { pool, broker } = services;
    run(Periodic { pool, broker, clock: Clock::system(), metrics, settings: config.settings() }, shutdown).await?;
    health.await?
}
