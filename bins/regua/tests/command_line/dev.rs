//! `regua dev` with the first send of the README.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use regua_tests::{Client, Database};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::root;

/// A running `regua dev`. Dropping it kills the process.
struct Dev {
    child: Child,
    /// Held open, so that the process can write more lines.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Dev {
    fn start(database: &Database, port: u16) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_regua"));
        command.args(["dev", "--port", &port.to_string()]);
        command.env("DATABASE_URL", &database.url).env_remove("AMQP_URL").current_dir(root());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("regua dev starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("standard output")).lines();
        // The process prints its addresses when everything is up.
        let is_up = stdout.by_ref().map_while(Result::ok).any(|line| line.contains("/api/v1/billing"));
        assert!(is_up, "regua dev ended before it was up");
        Self { child, _stdout: stdout }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ignored = self.child.kill();
        let _ignored = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn first_send_of_the_readme_works() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, block) = readme.split_once("curl -sS http://127.0.0.1:8080").expect("the README's first send");
    let block = block.split("```").next().unwrap();
    let path = block.split_whitespace().next().unwrap();
    let key = block.split("X-Billing-API-Key: ").nth(1).unwrap().split('\'').next().unwrap();
    let file = block.split("-d @").nth(1).unwrap().split_whitespace().next().unwrap();

    let database = Database::fresh().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dev = Dev::start(&database, port);
    let erp = Client::new(&format!("http://127.0.0.1:{port}"), key);
    let body: Value = serde_json::from_slice(&std::fs::read(root().join(file)).unwrap()).unwrap();
    let first = erp.call(Method::POST, path, Some(&body)).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{:#}", first.body);
    assert_eq!(first.body["rejected"], Value::Array(Vec::new()));
    let done = erp.wait_for_status(first.body["queue_id"].as_str().unwrap(), "completed").await;
    assert_eq!(done["sent"], done["total"], "{done:#}");
    let again = erp.call(Method::POST, path, Some(&body)).await;
    assert_eq!((again.status, &again.body["replayed"]), (StatusCode::OK, &Value::Bool(true)));
    drop(dev);
}
