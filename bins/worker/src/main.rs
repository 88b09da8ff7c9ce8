//! The program `regua-worker`: reads its configuration and runs.

use clap::Parser;
use regua_worker::config::Config;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    regua_worker::start(Config::parse()).await
}
