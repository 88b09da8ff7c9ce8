//! The program `regua-periodic`: reads its configuration and runs.

use clap::Parser;
use regua_periodic::config::Config;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    regua_periodic::start(Config::parse()).await
}
