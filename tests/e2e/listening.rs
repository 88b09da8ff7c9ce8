//! The addresses on which worker and periodic serve health and metrics.

use regua_tests::{Fleet, FleetOptions, Process, eventually};
use tokio::net::TcpStream;

const BINARY: &str = env!("CARGO_BIN_EXE_regua-test-process");

#[tokio::test(flavor = "multi_thread")]
async fn worker_and_periodic_listen_on_the_loopback_unless_an_address_is_set() {
    let fleet = Fleet::start(FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() }).await;
    for program in ["worker", "periodic"] {
        for (more, open, closed) in
            [(None, "127.0.0.1", "127.0.0.2"), (Some(("BIND_ADDRESS", "127.0.0.2")), "127.0.0.2", "127.0.0.1")]
        {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let text = port.to_string();
            let environment: Vec<_> = [("METRICS_PORT", text.as_str())].into_iter().chain(more).collect();
            let process = Process::for_fleet(&fleet, BINARY, program, &environment);
            let connects = async |host: &str| TcpStream::connect((host, port)).await.is_ok();
            eventually("the program to listen", async || connects(open).await).await;
            assert!(!connects(closed).await, "{program} {more:?}");
            assert!(process.terminate().success());
        }
    }
    fleet.end().await;
}
