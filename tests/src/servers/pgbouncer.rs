//! A private pgbouncer in transaction mode, configured as in docs/scale.md.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::{Host, Postgres, free_port};

const NAME: &str = "pgbouncer";

/// The configuration of docs/scale.md, with addresses to replace.
const SETTINGS: &str = include_str!("../../../docs/pgbouncer.ini");

/// A pooler. Dropping it stops and removes it.
pub struct PgBouncer {
    host: Host,
    port: u16,
}

impl PgBouncer {
    /// Starts a pooler in front of a server. It opens at most `pool_size` connections.
    pub async fn in_front_of(server: &Postgres, pool_size: u16) -> Self {
        Self::with(server, pool_size, |settings| settings).await
    }

    /// The same with a changed configuration.
    pub async fn with(server: &Postgres, pool_size: u16, change: impl Fn(String) -> String) -> Self {
        let host = Host::new(NAME, None).await;
        let mut host = host.expect("pgbouncer is not installed: run `scripts/prerequisites pgbouncer`");
        host.password.clone_from(&server.host.password);
        host.write_file("userlist.txt", &format!("\"regua\" \"{}\"\n", host.password));
        for _ in 0..5 {
            let mut pooler = Self { host, port: free_port() };
            pooler.launch(server, pool_size, &change);
            if pooler.is_up().await {
                return pooler;
            }
            pooler.host.wait_until_ended(NAME).await;
            host = pooler.host;
        }
        panic!("pgbouncer did not start; the end of its log:\n{}", host.tail(NAME));
    }

    fn launch(&mut self, server: &Postgres, pool_size: u16, change: impl Fn(String) -> String) {
        let users = self.host.path("userlist.txt");
        let replacements = [
            ("host=10.0.0.5 port=5432", format!("host=127.0.0.1 port={}", server.port)),
            ("listen_addr = 0.0.0.0", "listen_addr = 127.0.0.1\nunix_socket_dir =".to_owned()),
            ("listen_port = 6432", format!("listen_port = {}", self.port)),
            ("/etc/pgbouncer/userlist.txt", users.display().to_string()),
            ("default_pool_size = 40", format!("default_pool_size = {pool_size}")),
        ];
        let mut settings = SETTINGS.to_owned();
        for (documented, actual) in replacements {
            assert!(settings.contains(documented), "docs/pgbouncer.ini does not have {documented:?}");
            settings = settings.replace(documented, &actual);
        }
        self.host.write_file("pgbouncer.ini", &change(settings));
        let mut command = self.host.command(self.host.programs.join("pgbouncer"));
        command.arg(self.host.path("pgbouncer.ini"));
        self.host.launch(NAME, command);
    }

    async fn is_up(&mut self) -> bool {
        let started = Instant::now();
        while self.host.is_running(NAME) {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "pgbouncer:\n{}", self.host.tail(NAME));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// The URL of the database `regua`.
    pub fn url(&self) -> String {
        format!("postgres://regua:{}@127.0.0.1:{}/regua", self.host.password, self.port)
    }
}
