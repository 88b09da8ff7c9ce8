//! The program `regua-api`: reads its configuration and runs.

use clap::Parser;
use regua_api::config::Config;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    regua_api::start(Config::parse()).await
}
