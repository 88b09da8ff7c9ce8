//! The program `regua` as a user runs it: its output and its exit status.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod administration;
mod dev;
mod operation;
mod pooler;
mod secrets;

use std::path::Path;
use std::process::{Command, Output};

use regua_secrets::DEVELOPMENT_SECRET_KEY;
use regua_tests::Database;

fn regua(database: &Database, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regua"));
    command.args(arguments).env("DATABASE_URL", &database.url).env_remove("AMQP_URL").current_dir(root());
    command.env("REGUA_SECRET_KEY", DEVELOPMENT_SECRET_KEY).env("GATEWAY_ALLOW_NETWORKS", "127.0.0.0/8");
    command.output().expect("regua runs")
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Asserts that the command succeeds; returns standard output.
fn succeeded(database: &Database, arguments: &[&str]) -> String {
    let output = regua(database, arguments);
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{stdout}\n{stderr}");
    stdout
}

/// Asserts that the command fails with this exit status and a message; returns standard error.
fn refused(database: &Database, status: i32, arguments: &[&str]) -> String {
    let output = regua(database, arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}\n{stderr}");
    assert!(!stderr.is_empty() && !stderr.contains("panicked"), "{arguments:?}\n{stderr}");
    stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_status_is_2_for_wrong_usage_and_1_for_failure() {
    let database = Database::fresh().await;
    for arguments in [&["nonsense"][..], &["tenant", "create"], &["queue", "status", "no-uuid", "--key", "x"]] {
        refused(&database, 2, arguments);
    }
    refused(&database, 1, &["template", "import", "--tenant", "nobody", "examples/cobranca-padrao.json"]);
    refused(&database, 1, &["send", "overdue", "no-such-file.csv", "--key", "x"]);
}
