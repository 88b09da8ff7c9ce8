//! PostgreSQL for the commands: pools, migrations, and error messages with a remedy.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{bail, ensure};
use regua_boot::DatabaseArguments;
use regua_store::{MIGRATOR, PoolMode, Role};
use sqlx::migrate::{Migrate, MigrateError, Migration};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use tokio::time::{Instant, sleep};

use crate::output;

/// Wait before the next connection attempt while the database starts.
const RECONNECT_WAIT: Duration = Duration::from_millis(500);

// SQLSTATE codes.
const UNDEFINED_TABLE: &str = "42P01";
const UNDEFINED_COLUMN: &str = "42703";
const INVALID_CATALOG_NAME: &str = "3D000";
const DUPLICATE_PREPARED_STATEMENT: &str = "42P05";
const INVALID_SQL_STATEMENT_NAME: &str = "26000";

/// A pool with the role of the platform.
pub(crate) fn open(arguments: &DatabaseArguments) -> anyhow::Result<PgPool> {
    regua_boot::open_pool("regua", Role::Platform, "DATABASE_URL", &arguments.database_url, arguments)
}

/// Waits up to `timeout` for the database, applies the missing migrations and returns them.
///
/// The connection has no time limits, because a migration may take long. It must not go through a pooler in transaction
/// mode: the lock that keeps two migrations apart belongs to a session.
pub(crate) async fn migrate(
    arguments: &DatabaseArguments,
    direct_url: Option<&str>,
    timeout: Duration,
) -> anyhow::Result<Vec<&'static Migration>> {
    let options = match direct_url.filter(|url| !url.is_empty()) {
        Some(url) => connect_options("DATABASE_DIRECT_URL", url)?,
        None if arguments.pool_mode() == PoolMode::Session => database_url(arguments)?,
        None => bail!("migrating needs PostgreSQL without the pooler: set DATABASE_DIRECT_URL"),
    };
    let mut conn = connect_within(&options, timeout).await?;
    let before = applied(&mut conn).await?;
    MIGRATOR.run(&mut conn).await.map_err(explain_migration)?;
    let after = applied(&mut conn).await?;
    conn.close().await?;
    Ok(MIGRATOR.iter().filter(|one| after.contains(&one.version) && !before.contains(&one.version)).collect())
}

/// The migrations that the database lacks, and the applied versions that this program does not know.
pub(crate) async fn migration_status(conn: &mut PgConnection) -> anyhow::Result<(Vec<&'static Migration>, Vec<i64>)> {
    let applied = applied(conn).await?;
    let pending = MIGRATOR.iter().filter(|one| !applied.contains(&one.version)).collect();
    let known: HashSet<_> = MIGRATOR.iter().map(|one| one.version).collect();
    Ok((pending, applied.difference(&known).copied().collect()))
}

async fn applied(conn: &mut PgConnection) -> anyhow::Result<HashSet<i64>> {
    match conn.list_applied_migrations(&MIGRATOR.table_name).await {
        Ok(applied) => Ok(applied.into_iter().map(|one| one.version).collect()),
        Err(MigrateError::Execute(sqlx::Error::Database(error)))
            if error.code().as_deref() == Some(UNDEFINED_TABLE) =>
        {
            Ok(HashSet::new())
        }
        Err(error) => Err(explain_migration(error)),
    }
}

async fn connect_within(options: &PgConnectOptions, timeout: Duration) -> anyhow::Result<PgConnection> {
    let started = Instant::now();
    let mut is_announced = false;
    loop {
        match options.connect().await {
            Ok(conn) => return Ok(conn),
            Err(error) if regua_store::is_unavailable(&error) && started.elapsed() < timeout => {
                if !std::mem::replace(&mut is_announced, true) {
                    output::remark(format_args!("waiting up to {} s for the database …", timeout.as_secs()));
                }
                sleep(RECONNECT_WAIT).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn database_url(arguments: &DatabaseArguments) -> anyhow::Result<PgConnectOptions> {
    connect_options("DATABASE_URL", &arguments.database_url)
}

fn connect_options(variable: &str, url: &str) -> anyhow::Result<PgConnectOptions> {
    // Without the cause, which may quote the URL and its password.
    let malformed = |_| anyhow::anyhow!("{variable} cannot be read: write postgres://user:password@host:port/database");
    Ok(url.parse::<PgConnectOptions>().map_err(malformed)?.application_name("regua"))
}

fn explain_migration(error: MigrateError) -> anyhow::Error {
    match error {
        MigrateError::VersionMismatch(version) => anyhow::anyhow!(
            "migration {version} of the database differs from this program's: the file was changed after it was \
             applied, or another build migrated the database; use the build that migrated it"
        ),
        MigrateError::VersionMissing(version) => anyhow::anyhow!(
            "the database has migration {version}, which this program does not know: the program is older than the \
             database; use a newer build"
        ),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => other.into(),
    }
}

/// The text of an error, with the remedy for a failure of the database.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    explain(error).unwrap_or_else(|| format!("{error:#}"))
}

/// None if the database caused no part of the error.
fn explain(error: &anyhow::Error) -> Option<String> {
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>())?;
    let answer = cause.as_database_error();
    let code = answer.and_then(|answer| answer.code()).unwrap_or_default();
    let message = match (answer, cause) {
        (Some(answer), _) => answer.message().to_owned(),
        (None, sqlx::Error::PoolTimedOut) => "no connection in time".to_owned(),
        (None, other) => other.to_string(),
    };
    Some(match code.as_ref() {
        UNDEFINED_TABLE | UNDEFINED_COLUMN => {
            "the database lacks tables of Régua: run `regua migrate` first".to_owned()
        }
        _ if code.starts_with("28") || code == INVALID_CATALOG_NAME => {
            format!("the database refuses: {message}; check user, password and database in DATABASE_URL")
        }
        DUPLICATE_PREPARED_STATEMENT | INVALID_SQL_STATEMENT_NAME => format!(
            "PostgreSQL is behind a pooler in transaction mode, which needs server_reset_query and \
             server_reset_query_always (docs/scale.md): {message}"
        ),
        _ if message.contains("unsupported startup parameter") => format!(
            "PostgreSQL is behind a pooler: set DATABASE_POOL_MODE=transaction (docs/scale.md), or connect without \
             it: {message}"
        ),
        _ if regua_store::is_unavailable(cause) => {
            format!("the database does not answer: {message}; check DATABASE_URL, and that PostgreSQL runs there")
        }
        _ => format!("the database failed: {message}"),
    })
}

/// Fails if the database is on another machine and the user did not confirm that with --yes.
pub(crate) fn require_local(arguments: &DatabaseArguments, is_confirmed: bool, command: &str) -> anyhow::Result<()> {
    let options = database_url(arguments)?;
    let host = options.get_host().trim_matches(['[', ']']);
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let is_local = host == "localhost" || host.starts_with('/') || is_loopback || options.get_socket().is_some();
    ensure!(
        is_local || is_confirmed,
        "DATABASE_URL points to another machine, and `regua {command}` creates a demo tenant there and sends the \
         pending messages of every tenant: use a database on this machine, or add --yes to do it all the same"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> DatabaseArguments {
        DatabaseArguments {
            database_url: url.to_owned(),
            database_max_connections: 2,
            database_pool_mode: "session".to_owned(),
        }
    }

    #[test]
    fn database_on_another_machine_is_refused_without_confirmation() {
        for url in ["postgres://u@127.0.0.1:5432/regua", "postgres://u@localhost/regua", "postgres://u@[::1]/regua"] {
            assert!(require_local(&at(url), false, "dev").is_ok(), "{url}");
        }
        for url in ["postgres://u@db.example/regua", "postgres://u@10.0.0.1/regua"] {
            assert!(require_local(&at(url), false, "dev").is_err(), "{url}");
            assert!(require_local(&at(url), true, "dev").is_ok(), "{url}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_is_not_repeated() {
        let error = open(&at("postgres://user:secret@host:port/x")).unwrap_err();
        assert!(!format!("{error:#}").contains("secret"));
    }
}
