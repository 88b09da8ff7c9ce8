//! PostgreSQL as the commands see it: how it is opened, waited for and migrated, and what its errors mean to a person.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::bail;
use regua_boot::DatabaseArguments;
use regua_store::{MIGRATOR, PoolMode, PoolSettings, Role};
use sqlx::migrate::{Migrate, MigrateError, Migration};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use tokio::time::{Instant, sleep};

use crate::output;

/// How long a command waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two looks whether the database has come up.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

// What PostgreSQL calls them.
const NO_TABLE: &str = "42P01";
const NO_COLUMN: &str = "42703";
const NO_DATABASE: &str = "3D000";
const STATEMENT_IS_THERE: &str = "42P05";
const NO_STATEMENT: &str = "26000";

/// The database of a command that needs one.
pub(crate) fn open(arguments: &DatabaseArguments) -> anyhow::Result<PgPool> {
    let settings = PoolSettings {
        database_url: arguments.database_url.clone(),
        application_name: "regua",
        role: Role::Platform,
        pool_mode: arguments.pool_mode(),
        max_connections: 2,
        acquire_timeout: ACQUIRE_TIMEOUT,
    };
    regua_store::pool(&settings).map_err(|_| unreadable("DATABASE_URL"))
}

/// Whether the database is on this machine.
pub(crate) fn is_on_this_machine(arguments: &DatabaseArguments) -> anyhow::Result<bool> {
    let options = parse(arguments)?;
    let host = options.get_host().trim_matches(['[', ']']);
    let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    Ok(host == "localhost" || host.starts_with('/') || is_loopback || options.get_socket().is_some())
}

/// Waits up to `patience` for the database and applies what it lacks; answers what that was.
///
/// The connection has none of the pool's time limits, for a migration may take long. It must not go through a pooler in
/// transaction mode: the lock that keeps two migrations apart belongs to a session.
pub(crate) async fn migrate(
    arguments: &DatabaseArguments,
    direct_url: Option<&str>,
    patience: Duration,
) -> anyhow::Result<Vec<&'static Migration>> {
    let options = match direct_url.filter(|url| !url.is_empty()) {
        Some(url) => options("DATABASE_DIRECT_URL", url)?,
        None if arguments.pool_mode() == PoolMode::Session => parse(arguments)?,
        None => bail!("migrating needs PostgreSQL without the pooler: set DATABASE_DIRECT_URL"),
    };
    let mut conn = wait(&options, patience).await?;
    let before = applied(&mut conn).await?;
    MIGRATOR.run(&mut conn).await.map_err(explain_migration)?;
    let after = applied(&mut conn).await?;
    conn.close().await?;
    Ok(MIGRATOR.iter().filter(|one| after.contains(&one.version) && !before.contains(&one.version)).collect())
}

/// What `regua migrate` would apply, and the versions that this program does not know.
pub(crate) async fn unmigrated(conn: &mut PgConnection) -> anyhow::Result<(Vec<&'static Migration>, Vec<i64>)> {
    let applied = applied(conn).await?;
    let pending = MIGRATOR.iter().filter(|one| !applied.contains(&one.version)).collect();
    let known: HashSet<_> = MIGRATOR.iter().map(|one| one.version).collect();
    Ok((pending, applied.difference(&known).copied().collect()))
}

async fn applied(conn: &mut PgConnection) -> anyhow::Result<HashSet<i64>> {
    match conn.list_applied_migrations(&MIGRATOR.table_name).await {
        Ok(applied) => Ok(applied.into_iter().map(|one| one.version).collect()),
        Err(MigrateError::Execute(sqlx::Error::Database(error))) if error.code().as_deref() == Some(NO_TABLE) => {
            Ok(HashSet::new())
        }
        Err(error) => Err(explain_migration(error)),
    }
}

async fn wait(options: &PgConnectOptions, patience: Duration) -> anyhow::Result<PgConnection> {
    let started = Instant::now();
    let mut has_said_so = false;
    loop {
        match options.connect().await {
            Ok(conn) => return Ok(conn),
            Err(error) if regua_store::is_unavailable(&error) && started.elapsed() < patience => {
                if !std::mem::replace(&mut has_said_so, true) {
                    output::remark(format_args!("waiting up to {} s for the database …", patience.as_secs()));
                }
                sleep(LOOK_AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn parse(arguments: &DatabaseArguments) -> anyhow::Result<PgConnectOptions> {
    options("DATABASE_URL", &arguments.database_url)
}

fn options(variable: &str, url: &str) -> anyhow::Result<PgConnectOptions> {
    let options: PgConnectOptions = url.parse().map_err(|_| unreadable(variable))?;
    Ok(options.application_name("regua"))
}

/// Without the cause, which may quote the address and with it the password.
fn unreadable(variable: &str) -> anyhow::Error {
    anyhow::anyhow!("{variable} cannot be read: write postgres://user:password@host:port/database")
}

fn explain_migration(error: MigrateError) -> anyhow::Error {
    match error {
        MigrateError::VersionMismatch(version) => anyhow::anyhow!(
            "migration {version} was applied with other contents than this program has: it was changed after it was \
             applied, or the database belongs to another build; use the build that made it"
        ),
        MigrateError::VersionMissing(version) => anyhow::anyhow!(
            "the database has migration {version}, which this program does not know: it is older than the database; \
             use a newer build"
        ),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => other.into(),
    }
}

/// What an error of the database means, and what to do; none where it is none of the database's.
pub(crate) fn explain(error: &anyhow::Error) -> Option<String> {
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>())?;
    let answer = cause.as_database_error();
    let code = answer.and_then(|answer| answer.code()).unwrap_or_default();
    let said = match (answer, cause) {
        (Some(answer), _) => answer.message().to_owned(),
        (None, sqlx::Error::PoolTimedOut) => "no connection in time".to_owned(),
        (None, other) => other.to_string(),
    };
    Some(match code.as_ref() {
        NO_TABLE | NO_COLUMN => "the database lacks tables of Régua: run `regua migrate` first".to_owned(),
        _ if code.starts_with("28") || code == NO_DATABASE => {
            format!("the database refuses: {said}; check user, password and database in DATABASE_URL")
        }
        STATEMENT_IS_THERE | NO_STATEMENT => format!(
            "a pooler in transaction mode stands before PostgreSQL, and it needs server_reset_query and \
             server_reset_query_always (docs/scale.md): {said}"
        ),
        _ if said.contains("unsupported startup parameter") => format!(
            "a pooler stands before PostgreSQL: set DATABASE_POOL_MODE=transaction (docs/scale.md), or connect without \
             it: {said}"
        ),
        _ if regua_store::is_unavailable(cause) => {
            format!("the database does not answer: {said}; check DATABASE_URL, and that PostgreSQL runs there")
        }
        _ => format!("the database failed: {said}"),
    })
}

/// Fails where the database is on another machine and nobody has said that this is meant.
pub(crate) fn refuse_other_machines(
    arguments: &DatabaseArguments,
    is_meant: bool,
    command: &str,
) -> anyhow::Result<()> {
    if !is_meant && !is_on_this_machine(arguments)? {
        bail!(
            "DATABASE_URL points to another machine, and `regua {command}` creates a demo tenant there and sends what \
             is queued for every tenant: use a database on this machine, or add --yes if that is meant"
        );
    }
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
    fn a_database_elsewhere_is_refused_unless_it_is_meant() {
        for url in ["postgres://u@127.0.0.1:5432/regua", "postgres://u@localhost/regua", "postgres://u@[::1]/regua"] {
            assert!(refuse_other_machines(&at(url), false, "dev").is_ok(), "{url}");
        }
        for url in ["postgres://u@db.example/regua", "postgres://u@10.0.0.1/regua"] {
            assert!(refuse_other_machines(&at(url), false, "dev").is_err(), "{url}");
            assert!(refuse_other_machines(&at(url), true, "dev").is_ok(), "{url}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_is_not_repeated() {
        let error = open(&at("postgres://user:secret@host:port/x")).unwrap_err();
        assert!(!format!("{error:#}").contains("secret"));
    }
}
