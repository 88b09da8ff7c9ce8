//! A pgbouncer of a test's own, in transaction mode, set up as docs/scale.md says.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::{Postgres, Room, free_port};

const NAME: &str = "pgbouncer";

/// What docs/scale.md tells operators to write; what differs from place to place is filled in.
const SETTINGS: &str = include_str!("../../../docs/pgbouncer.ini");

/// One pooler, killed and removed when dropped.
pub struct PgBouncer {
    room: Room,
    port: u16,
}

impl PgBouncer {
    /// Starts one before a server, to which it opens at most `pool_size` connections.
    pub async fn before(server: &Postgres, pool_size: u16) -> Self {
        Self::with(server, pool_size, |settings| settings).await
    }

    /// The same with settings that differ from what docs/scale.md says.
    pub async fn with(server: &Postgres, pool_size: u16, differ: impl Fn(String) -> String) -> Self {
        let room = Room::new(NAME, None).await;
        let mut room = room.expect("pgbouncer is not installed: run `scripts/prerequisites pgbouncer`");
        room.password.clone_from(&server.room.password);
        room.keep("userlist.txt", &format!("\"regua\" \"{}\"\n", room.password));
        for _ in 0..5 {
            let mut pooler = Self { room, port: free_port() };
            pooler.launch(server, pool_size, &differ);
            if pooler.is_up().await {
                return pooler;
            }
            pooler.room.ended(NAME).await;
            room = pooler.room;
        }
        panic!("pgbouncer did not start; the end of its log:\n{}", room.tail(NAME));
    }

    fn launch(&mut self, server: &Postgres, pool_size: u16, differ: impl Fn(String) -> String) {
        let users = self.room.path("userlist.txt");
        let filled = [
            ("host=10.0.0.5 port=5432", format!("host=127.0.0.1 port={}", server.port)),
            ("listen_addr = 0.0.0.0", "listen_addr = 127.0.0.1\nunix_socket_dir =".to_owned()),
            ("listen_port = 6432", format!("listen_port = {}", self.port)),
            ("/etc/pgbouncer/userlist.txt", users.display().to_string()),
            ("default_pool_size = 40", format!("default_pool_size = {pool_size}")),
        ];
        let mut settings = SETTINGS.to_owned();
        for (written, here) in filled {
            assert!(settings.contains(written), "docs/pgbouncer.ini does not have {written:?}");
            settings = settings.replace(written, &here);
        }
        self.room.keep("pgbouncer.ini", &differ(settings));
        let mut command = self.room.command(self.room.programs.join("pgbouncer"));
        command.arg(self.room.path("pgbouncer.ini"));
        self.room.launch(NAME, command);
    }

    async fn is_up(&mut self) -> bool {
        let started = Instant::now();
        while self.room.is_running(NAME) {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "pgbouncer:\n{}", self.room.tail(NAME));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// The database `regua` through it.
    pub fn url(&self) -> String {
        format!("postgres://regua:{}@127.0.0.1:{}/regua", self.room.password, self.port)
    }
}
