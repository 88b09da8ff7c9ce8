//! The command line behind pgbouncer in transaction mode.

use std::process::Command;

use regua_tests::{PgBouncer, Postgres};

/// Runs the program; returns the exit status and the whole output.
fn regua(url: &str, environment: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regua"));
    command.args(arguments).env_remove("AMQP_URL").env("DATABASE_URL", url).env("DATABASE_POOL_MODE", "transaction");
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_checks_the_settings_of_a_transaction_pooler() {
    let Some(postgres) = Postgres::try_start().await else { return };
    let pgbouncer = PgBouncer::in_front_of(&postgres, 2).await;
    let url = pgbouncer.url();
    let (status, output) = regua(&url, &[], &["migrate"]);
    assert!(status == Some(1) && output.contains("DATABASE_DIRECT_URL"), "{output}");
    let (status, output) = regua(&url, &[("DATABASE_DIRECT_URL", &postgres.url())], &["migrate"]);
    assert!(status == Some(0) && output.contains("applied 0001"), "{output}");
    let (status, output) = regua(&url, &[], &["tenant", "create", "acme", "--name", "Acme Ltda"]);
    assert_eq!(status, Some(0), "{output}");

    let (status, output) = regua(&url, &[], &["doctor"]);
    assert!(status == Some(1) && output.contains("needs RabbitMQ"), "{output}");
    let Ok(amqp_url) = std::env::var("AMQP_URL") else { return };
    let broker = [("AMQP_URL", &*amqp_url), ("AMQP_NAMESPACE", "pooler")];
    let (status, output) = regua(&url, &broker, &["doctor"]);
    assert!(status == Some(0) && output.contains("has its session to itself"), "{output}");

    let (status, output) = regua(&url, &[("DATABASE_POOL_MODE", "session")], &["doctor"]);
    assert!(status == Some(1) && output.contains("set DATABASE_POOL_MODE=transaction"), "{output}");

    let without = |setting: &'static str| {
        move |settings: String| {
            let lines = settings.lines().map(|line| line.split(setting).next().unwrap());
            lines.collect::<Vec<_>>().join("\n")
        }
    };
    let unlimited = PgBouncer::with(&postgres, 2, without("connect_query=")).await;
    let (status, output) = regua(&unlimited.url(), &broker, &["doctor"]);
    assert!(status == Some(1) && output.contains("idle_in_transaction_session_timeout"), "{output}");
    let without_reset = PgBouncer::with(&postgres, 2, without("server_reset_query_always")).await;
    let (status, output) = regua(&without_reset.url(), &broker, &["doctor"]);
    assert!(status == Some(1) && output.contains("server_reset_query"), "{output}");
}
