//! The sandbox's arguments and environment.

use std::path::PathBuf;

use clap::Parser;

use crate::settings::Settings;

/// A stand-in for Evolution API 2.3.7, with faults on demand under /sandbox.
// No `Debug`: the key is a secret.
#[derive(Parser)]
#[command(name = "regua-sandbox", version)]
pub struct Config {
    /// Port to listen on, at 127.0.0.1; 0 takes a free one and logs it.
    #[arg(long, env = "SANDBOX_PORT", value_name = "SANDBOX_PORT", default_value_t = 8090)]
    pub port: u16,
    /// Global API key, valid for every instance.
    #[arg(
        long,
        env = "SANDBOX_API_KEY",
        value_name = "SANDBOX_API_KEY",
        default_value = "sandbox",
        hide_env_values = true
    )]
    pub api_key: String,
    /// Make an instance, connected, when a route first names it.
    #[arg(
        long,
        env = "SANDBOX_AUTO_CREATE_INSTANCES",
        value_name = "SANDBOX_AUTO_CREATE_INSTANCES",
        default_value_t = false,
        action = clap::ArgAction::Set
    )]
    pub auto_create_instances: bool,
    /// File that keeps what left, so that it is known again after a restart; absent: memory alone does
    #[arg(long, env = "SANDBOX_JOURNAL", value_name = "SANDBOX_JOURNAL")]
    pub journal: Option<PathBuf>,
}

impl Config {
    /// The sandbox's settings.
    pub fn settings(&self) -> Settings {
        Settings {
            api_key: self.api_key.clone(),
            auto_create_instances: self.auto_create_instances,
            journal: self.journal.clone(),
            ..Settings::default()
        }
    }
}
