//! `regua migrate`: applies the missing migrations.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use regua_boot::DatabaseArguments;

use crate::secret::Secret;
use crate::{database, output};

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  DATABASE_URL=postgres://regua:…@127.0.0.1/regua regua migrate")]
pub(crate) struct Arguments {
    #[command(flatten)]
    database: DatabaseArguments,
    /// PostgreSQL without the pooler; needed if DATABASE_POOL_MODE is transaction
    #[arg(long, env = "DATABASE_DIRECT_URL", hide_env_values = true)]
    database_direct_url: Option<Secret>,
    /// Seconds to wait for a database that does not answer yet
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (direct_url, timeout) = (arguments.database_direct_url.as_deref(), Duration::from_secs(arguments.wait));
    let applied = database::migrate(&arguments.database, direct_url, timeout).await?;
    for migration in &applied {
        output::line(format_args!("applied {:04} {}", migration.version, migration.description))?;
    }
    if applied.is_empty() {
        output::line("the database is up to date")?;
    }
    Ok(ExitCode::SUCCESS)
}
