//! A private PostgreSQL with default durability, and its replicas. The caller creates the schema.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor, PgConnection};

use super::{Host, free_port, output};

const NAME: &str = "postgres";

/// An empty database takes about 40 MB. The write-ahead log is on another disk: without space for it, PostgreSQL
/// crashes.
const SMALL_DISK: &str = "96m";

/// A server on a fixed port. Dropping it stops and removes it.
pub struct Postgres {
    pub(super) host: Host,
    pub(super) port: u16,
    has_small_disk: bool,
    is_replica: bool,
}

impl Postgres {
    /// Starts a server with an empty database `regua`.
    pub async fn start() -> Self {
        Self::try_start().await.expect("PostgreSQL's programs are installed")
    }

    /// The same; none if PostgreSQL is not installed.
    pub async fn try_start() -> Option<Self> {
        Some(Self::create(Host::new(NAME, None).await?, false).await)
    }

    /// A server whose disk [`Postgres::fill_disk`] can fill; none if the user may not mount a disk.
    pub async fn with_small_disk() -> Option<Self> {
        Some(Self::create(Host::new(NAME, Some(SMALL_DISK)).await?, true).await)
    }

    async fn create(host: Host, has_small_disk: bool) -> Self {
        let mut server = Self { host, port: 0, has_small_disk, is_replica: false };
        server.host.write_file("password", &server.host.password);
        let mut initdb = server.command("initdb");
        initdb.args(["--username=regua", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        initdb.arg("--wal-segsize=4").arg(format!("--pwfile={}", server.host.path("password").display()));
        initdb.arg(format!("--pgdata={}", server.data().display()));
        initdb.arg(format!("--waldir={}", server.host.path("wal").display()));
        succeed(initdb).await;
        server.start_first().await;
        server.execute("postgres", "create database regua").await;
        server
    }

    /// Tries several ports, because another program may take one first.
    async fn start_first(&mut self) {
        for _ in 0..5 {
            self.port = free_port();
            self.launch();
            if self.answers().await {
                return;
            }
            self.host.wait_until_ended(NAME).await;
        }
        panic!("PostgreSQL did not start; the end of its log:\n{}", self.host.tail(NAME));
    }

    fn launch(&mut self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=300",
            "max_wal_size=128MB",
            // Files in the data folder, which are removed with it.
            "dynamic_shared_memory_type=mmap",
            "log_min_messages=warning",
        ] {
            command.args(["-c", setting]);
        }
        if self.is_replica {
            // After a promotion, commits must not wait for a replica.
            command.args(["-c", "synchronous_standby_names="]);
        }
        self.host.launch(NAME, command);
    }

    /// Waits until the server answers; false if it ended instead.
    async fn answers(&mut self) -> bool {
        let started = Instant::now();
        while self.host.is_running(NAME) {
            let conn = tokio::time::timeout(Duration::from_secs(5), PgConnection::connect(&self.url_of("postgres")));
            if matches!(conn.await, Ok(Ok(_))) {
                return true;
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "PostgreSQL does not answer:\n{}",
                self.host.tail(NAME)
            );
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        false
    }

    /// The URL of the database `regua`.
    pub fn url(&self) -> String {
        self.url_of("regua")
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://regua:{}@127.0.0.1:{}/{database}", self.host.password, self.port)
    }

    /// Sends SIGKILL to all its processes, as in a power failure of the server.
    pub async fn kill(&mut self) {
        self.host.kill(NAME).await;
    }

    /// Stops the server in order: it cuts connections and needs no recovery.
    pub async fn stop(&mut self) {
        let mut command = Command::new("kill");
        command.args(["-INT", &self.host.id(NAME)]);
        succeed(command).await;
        self.host.wait_until_ended(NAME).await;
    }

    /// Starts the server with the same port and data; returns when it answers.
    pub async fn start_again(&mut self) {
        // A start fails while the kernel still frees the memory of the killed processes.
        for _ in 0..10 {
            self.launch();
            if self.answers().await {
                return;
            }
            self.host.wait_until_ended(NAME).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("PostgreSQL did not start again:\n{}", self.host.tail(NAME));
    }

    /// Sends SIGSTOP: connections stay open without answers.
    pub async fn freeze(&self) {
        self.host.signal(NAME, "STOP").await;
    }

    /// Sends SIGCONT.
    pub async fn thaw(&self) {
        self.host.signal(NAME, "CONT").await;
    }

    /// Terminates all client connections.
    pub async fn cut_connections(&self) {
        let terminate = "select pg_terminate_backend(pid) from pg_stat_activity \
                         where backend_type = 'client backend' and pid <> pg_backend_pid()";
        self.execute("postgres", terminate).await;
    }

    /// A synchronous replica: it has every commit before the client gets the answer.
    pub async fn replica(&self) -> Self {
        let replica = self.follower().await;
        self.execute("postgres", "alter system set synchronous_standby_names = '*'").await;
        self.execute("postgres", "select pg_reload_conf()").await;
        let is_synchronous = "select 1 from pg_stat_replication where sync_state = 'sync'";
        crate::eventually("the replica to be synchronous", async || self.finds(is_synchronous).await).await;
        replica
    }

    /// An asynchronous replica.
    pub async fn follower(&self) -> Self {
        let host = Host::new(NAME, None).await.expect("PostgreSQL's programs are installed");
        let mut replica = Self { host, port: 0, has_small_disk: false, is_replica: true };
        replica.host.password.clone_from(&self.host.password);
        let mut backup = replica.command("pg_basebackup");
        backup.args(["--host=127.0.0.1", &format!("--port={}", self.port), "--username=regua"]);
        backup.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--wal-method=stream"]);
        backup.arg(format!("--pgdata={}", replica.data().display()));
        backup.arg(format!("--waldir={}", replica.host.path("wal").display()));
        succeed(backup).await;
        replica.start_first().await;
        replica
    }

    /// Lets a replica receive changes without applying them.
    pub async fn pause_replay(&self) {
        self.execute("postgres", "select pg_wal_replay_pause()").await;
        let is_paused = "select 1 where pg_get_wal_replay_pause_state() = 'paused'";
        crate::eventually("the replay to be paused", async || self.finds(is_paused).await).await;
    }

    /// Lets a replica apply the received changes.
    pub async fn resume_replay(&self) {
        self.execute("postgres", "select pg_wal_replay_resume()").await;
    }

    /// Makes the replica a primary.
    pub async fn promote(&mut self) {
        self.execute("postgres", "select pg_promote(true, 60)").await;
        self.is_replica = false;
    }

    /// Fills the small disk to its last page. Reads still work, and so do changes in pages with free space.
    pub async fn fill_disk(&self) {
        assert!(self.has_small_disk, "only with_small_disk can be filled");
        let mut command = Command::new("dd");
        command.args(["if=/dev/zero", "bs=4096"]).arg(format!("of={}", self.filler().display()));
        assert!(!output(command).await.status.success(), "the disk has an end");
    }

    /// Frees the space.
    pub async fn free_disk(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.host.root.join("disk").join("filler")
    }

    fn data(&self) -> PathBuf {
        if self.has_small_disk { self.host.root.join("disk").join("data") } else { self.host.path("data") }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.host.command(self.host.programs.join(program));
        command.env("PGPASSWORD", &self.host.password);
        command
    }

    async fn execute(&self, database: &str, statement: &str) {
        let mut conn = PgConnection::connect(&self.url_of(database)).await.unwrap();
        conn.execute(sqlx::AssertSqlSafe(statement.to_owned())).await.unwrap();
    }

    async fn finds(&self, query: &str) -> bool {
        let mut conn = PgConnection::connect(&self.url_of("postgres")).await.unwrap();
        conn.fetch_optional(sqlx::AssertSqlSafe(query.to_owned())).await.unwrap().is_some()
    }
}

async fn succeed(command: Command) {
    let ended = output(command).await;
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}
