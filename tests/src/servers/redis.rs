//! A private Redis without persistence.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::{Host, free_port};

const NAME: &str = "redis";

/// A server on a fixed port. Dropping it stops and removes it.
pub struct Redis {
    host: Host,
    port: u16,
}

impl Redis {
    /// Starts an empty server.
    pub async fn start() -> Self {
        let host = Host::new(NAME, None).await;
        let host = host.expect("Redis is not installed: run `scripts/prerequisites redis`");
        let mut redis = Self { host, port: 0 };
        for _ in 0..5 {
            redis.port = free_port();
            redis.launch();
            if redis.is_up().await {
                return redis;
            }
            redis.host.wait_until_ended(NAME).await;
        }
        panic!("Redis did not start; the end of its log:\n{}", redis.host.tail(NAME));
    }

    fn launch(&mut self) {
        let settings = format!(
            "bind 127.0.0.1\nport {}\nrequirepass {}\nsave \"\"\nappendonly no\ndir {}\n",
            self.port,
            self.host.password,
            self.host.path("").display()
        );
        self.host.write_file("redis.conf", &settings);
        let mut command = self.host.command(self.host.programs.join("redis-server"));
        command.arg(self.host.path("redis.conf"));
        self.host.launch(NAME, command);
    }

    async fn is_up(&mut self) -> bool {
        let started = Instant::now();
        while self.host.is_running(NAME) {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "Redis:\n{}", self.host.tail(NAME));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// The URL with the password.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/0", self.host.password, self.port)
    }

    /// Sends SIGKILL.
    pub async fn kill(&mut self) {
        self.host.kill(NAME).await;
    }

    /// Starts an empty server on the same port; returns when it accepts connections.
    pub async fn start_again(&mut self) {
        self.launch();
        assert!(self.is_up().await, "Redis did not start again:\n{}", self.host.tail(NAME));
    }

    /// Sends SIGSTOP: connections stay open without answers.
    pub async fn freeze(&self) {
        self.host.signal(NAME, "STOP").await;
    }

    /// Sends SIGCONT.
    pub async fn thaw(&self) {
        self.host.signal(NAME, "CONT").await;
    }
}
