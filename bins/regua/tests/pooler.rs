//! The command line behind pgbouncer in transaction mode.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use regua_tests::{PgBouncer, Postgres};

/// Runs the program; its exit status, and all that it said.
fn regua(url: &str, environment: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regua"));
    command.args(arguments).env_remove("AMQP_URL").env("DATABASE_URL", url).env("DATABASE_POOL_MODE", "transaction");
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pooler_in_transaction_mode_needs_is_looked_for() {
    let Some(postgres) = Postgres::try_start().await else { return };
    let pgbouncer = PgBouncer::before(&postgres, 2).await;
    let url = pgbouncer.url();
    let (status, said) = regua(&url, &[], &["migrate"]);
    assert!(status == Some(1) && said.contains("DATABASE_DIRECT_URL"), "{said}");
    let (status, said) = regua(&url, &[("DATABASE_DIRECT_URL", &postgres.url())], &["migrate"]);
    assert!(status == Some(0) && said.contains("applied 0001"), "{said}");
    let (status, said) = regua(&url, &[], &["tenant", "create", "acme", "--name", "Acme Ltda"]);
    assert_eq!(status, Some(0), "{said}");

    let (status, said) = regua(&url, &[], &["doctor"]);
    assert!(status == Some(1) && said.contains("needs RabbitMQ"), "{said}");
    let Ok(amqp_url) = std::env::var("AMQP_URL") else { return };
    let broker = [("AMQP_URL", &*amqp_url), ("AMQP_NAMESPACE", "pooler")];
    let (status, said) = regua(&url, &broker, &["doctor"]);
    assert!(status == Some(0) && said.contains("has its session to itself"), "{said}");

    let (status, said) = regua(&url, &[("DATABASE_POOL_MODE", "session")], &["doctor"]);
    assert!(status == Some(1) && said.contains("set DATABASE_POOL_MODE=transaction"), "{said}");

    let without = |setting: &'static str| {
        move |settings: String| {
            let lines = settings.lines().map(|line| line.split(setting).next().unwrap());
            lines.collect::<Vec<_>>().join("\n")
        }
    };
    let unlimited = PgBouncer::with(&postgres, 2, without("connect_query=")).await;
    let (status, said) = regua(&unlimited.url(), &broker, &["doctor"]);
    assert!(status == Some(1) && said.contains("idle_in_transaction_session_timeout"), "{said}");
    let kept = PgBouncer::with(&postgres, 2, without("server_reset_query_always")).await;
    let (status, said) = regua(&kept.url(), &broker, &["doctor"]);
    assert!(status == Some(1) && said.contains("server_reset_query"), "{said}");
}
