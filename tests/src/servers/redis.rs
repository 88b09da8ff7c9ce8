//! A Redis of a test's own. What it holds is gone when it ends, as where nobody asks it to keep anything.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::{Room, free_port};

const NAME: &str = "redis";

/// One server, on a port that stays the same. It is killed and removed when dropped.
pub struct Redis {
    room: Room,
    port: u16,
}

impl Redis {
    /// Starts an empty one.
    pub async fn start() -> Self {
        let room = Room::new(NAME, None).await;
        let room = room.expect("Redis is not installed: run `scripts/prerequisites redis`");
        let mut redis = Self { room, port: 0 };
        for _ in 0..5 {
            redis.port = free_port();
            redis.launch();
            if redis.is_up().await {
                return redis;
            }
            redis.room.ended(NAME).await;
        }
        panic!("Redis did not start; the end of its log:\n{}", redis.room.tail(NAME));
    }

    fn launch(&mut self) {
        let settings = format!(
            "bind 127.0.0.1\nport {}\nrequirepass {}\nsave \"\"\nappendonly no\ndir {}\n",
            self.port,
            self.room.password,
            self.room.path("").display()
        );
        self.room.keep("redis.conf", &settings);
        let mut command = self.room.command(self.room.programs.join("redis-server"));
        command.arg(self.room.path("redis.conf"));
        self.room.launch(NAME, command);
    }

    async fn is_up(&mut self) -> bool {
        let started = Instant::now();
        while self.room.is_running(NAME) {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "Redis:\n{}", self.room.tail(NAME));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// Its address, with its password.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/0", self.room.password, self.port)
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.room.kill(NAME).await;
    }

    /// On the same port, empty; returns when it takes connections.
    pub async fn start_again(&mut self) {
        self.launch();
        assert!(self.is_up().await, "Redis did not start again:\n{}", self.room.tail(NAME));
    }

    /// SIGSTOP: connections stay, and nobody answers.
    pub async fn freeze(&self) {
        self.room.signal(NAME, "STOP").await;
    }

    /// SIGCONT.
    pub async fn thaw(&self) {
        self.room.signal(NAME, "CONT").await;
    }
}
