//! The sandbox as a program: it ends on Ctrl-C or SIGTERM.

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    regua_sandbox::start(&regua_sandbox::config::Config::parse()).await
}
