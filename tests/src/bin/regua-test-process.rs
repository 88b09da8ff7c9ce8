//! The programs of the fleet in one binary, so that cargo builds it for the tests that kill processes.

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args();
    let _binary = arguments.next();
    match arguments.next().as_deref() {
        Some("api") => regua_api::start(regua_api::config::Config::parse_from(["api"])).await,
        Some("worker") => regua_worker::start(regua_worker::config::Config::parse_from(["worker"])).await,
        Some("periodic") => regua_periodic::start(regua_periodic::config::Config::parse_from(["periodic"])).await,
        Some("sandbox") => regua_sandbox::start(&regua_sandbox::config::Config::parse_from(["sandbox"])).await,
        other => anyhow::bail!("no program {other:?}: use api, worker, periodic or sandbox"),
    }
}
