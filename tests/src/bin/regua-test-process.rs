//! The programs of the fleet in one binary, which cargo builds for the tests that kill processes.
//!
//! `REGUA_DIE_AT=post::before:3` aborts the process when it reaches the failpoint for the third time;
//! `REGUA_FAIL_AT=claim::committed=1*return` is an action of the crate `fail`.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    configure_failpoints()?;
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

fn configure_failpoints() -> anyhow::Result<()> {
    if let Ok(failpoint) = std::env::var("REGUA_DIE_AT") {
        let (name, times) = failpoint.rsplit_once(':').context("REGUA_DIE_AT=name:times")?;
        let left = AtomicUsize::new(times.parse()?);
        fail::cfg_callback(name, move || {
            // As with `kill -9`, nothing is dropped or flushed.
            if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                std::process::abort();
            }
        })
        .map_err(anyhow::Error::msg)?;
    }
    if let Ok(failpoint) = std::env::var("REGUA_FAIL_AT") {
        let (name, action) = failpoint.split_once('=').context("REGUA_FAIL_AT=name=action")?;
        fail::cfg(name, action).map_err(anyhow::Error::msg)?;
    }
    Ok(())
}
