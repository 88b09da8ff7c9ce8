//! A PostgreSQL of a test's own, with the durability that PostgreSQL has by itself, and its replica. Its schema is the
//! caller's.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor, PgConnection};

use super::{Room, free_port, output};

const NAME: &str = "postgres";

/// The small disk: PostgreSQL's empty data takes some 40 MB of it. The log of changes lies elsewhere, because without
/// space for that one PostgreSQL does not refuse but fall over, which [`Postgres::kill`] does too.
const SMALL_DISK: &str = "96m";

/// One server, on a port that stays the same. It is killed and removed when dropped.
pub struct Postgres {
    pub(super) room: Room,
    pub(super) port: u16,
    has_small_disk: bool,
    is_replica: bool,
}

impl Postgres {
    /// Starts a server with an empty database `regua`.
    pub async fn start() -> Self {
        Self::try_start().await.expect("PostgreSQL's programs are installed")
    }

    /// As `start`; none where PostgreSQL is not installed.
    pub async fn try_start() -> Option<Self> {
        Some(Self::create(Room::new(NAME, None).await?, false).await)
    }

    /// A server whose disk [`Postgres::fill_disk`] can fill; none where a disk can only be had by an administrator.
    pub async fn with_small_disk() -> Option<Self> {
        Some(Self::create(Room::new(NAME, Some(SMALL_DISK)).await?, true).await)
    }

    async fn create(room: Room, has_small_disk: bool) -> Self {
        let mut server = Self { room, port: 0, has_small_disk, is_replica: false };
        server.room.keep("password", &server.room.password);
        let mut initdb = server.command("initdb");
        initdb.args(["--username=regua", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        initdb.arg("--wal-segsize=4").arg(format!("--pwfile={}", server.room.path("password").display()));
        initdb.arg(format!("--pgdata={}", server.data().display()));
        initdb.arg(format!("--waldir={}", server.room.path("wal").display()));
        succeed(initdb).await;
        server.start_first().await;
        server.execute("postgres", "create database regua").await;
        server
    }

    /// On a port of its own choice: another program may be quicker to take it.
    async fn start_first(&mut self) {
        for _ in 0..5 {
            self.port = free_port();
            self.launch();
            if self.answers().await {
                return;
            }
            self.room.ended(NAME).await;
        }
        panic!("PostgreSQL did not start; the end of its log:\n{}", self.room.tail(NAME));
    }

    fn launch(&mut self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=300",
            "max_wal_size=128MB",
            // In its folder, so that it goes with the folder.
            "dynamic_shared_memory_type=mmap",
            "log_min_messages=warning",
        ] {
            command.args(["-c", setting]);
        }
        if self.is_replica {
            // As a primary it must not wait for a replica of its own.
            command.args(["-c", "synchronous_standby_names="]);
        }
        self.room.launch(NAME, command);
    }

    /// Waits until it answers; false when it ended instead.
    async fn answers(&mut self) -> bool {
        let started = Instant::now();
        while self.room.is_running(NAME) {
            let asked = tokio::time::timeout(Duration::from_secs(5), PgConnection::connect(&self.url_of("postgres")));
            if matches!(asked.await, Ok(Ok(_))) {
                return true;
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "PostgreSQL does not answer:\n{}",
                self.room.tail(NAME)
            );
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        false
    }

    /// The database `regua`.
    pub fn url(&self) -> String {
        self.url_of("regua")
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://regua:{}@127.0.0.1:{}/{database}", self.room.password, self.port)
    }

    /// SIGKILL of all its processes at once, like a power cut of the server.
    pub async fn kill(&mut self) {
        self.room.kill(NAME).await;
    }

    /// Ends it in order: connections are cut and nothing has to be recovered.
    pub async fn stop(&mut self) {
        let mut command = Command::new("kill");
        command.args(["-INT", &self.room.id(NAME)]);
        succeed(command).await;
        self.room.ended(NAME).await;
    }

    /// On the same port with the same data; returns when it answers.
    pub async fn start_again(&mut self) {
        // Its processes were killed all at once, and the last of them may not have let go of its memory yet.
        for _ in 0..10 {
            self.launch();
            if self.answers().await {
                return;
            }
            self.room.ended(NAME).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("PostgreSQL did not start again:\n{}", self.room.tail(NAME));
    }

    /// SIGSTOP: connections stay, and nobody answers.
    pub async fn freeze(&self) {
        self.room.signal(NAME, "STOP").await;
    }

    /// SIGCONT.
    pub async fn thaw(&self) {
        self.room.signal(NAME, "CONT").await;
    }

    /// Cuts everybody's connections.
    pub async fn cut_connections(&self) {
        let everybody = "select pg_terminate_backend(pid) from pg_stat_activity \
                         where backend_type = 'client backend' and pid <> pg_backend_pid()";
        self.execute("postgres", everybody).await;
    }

    /// A replica that has every commit before the client hears of it.
    pub async fn replica(&self) -> Self {
        let replica = self.follower().await;
        self.execute("postgres", "alter system set synchronous_standby_names = '*'").await;
        self.execute("postgres", "select pg_reload_conf()").await;
        let is_synchronous = "select 1 from pg_stat_replication where sync_state = 'sync'";
        crate::eventually("the replica to be synchronous", async || self.finds(is_synchronous).await).await;
        replica
    }

    /// A replica that no commit waits for.
    pub async fn follower(&self) -> Self {
        let room = Room::new(NAME, None).await.expect("PostgreSQL's programs are installed");
        let mut replica = Self { room, port: 0, has_small_disk: false, is_replica: true };
        replica.room.password.clone_from(&self.room.password);
        let mut backup = replica.command("pg_basebackup");
        backup.args(["--host=127.0.0.1", &format!("--port={}", self.port), "--username=regua"]);
        backup.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--wal-method=stream"]);
        backup.arg(format!("--pgdata={}", replica.data().display()));
        backup.arg(format!("--waldir={}", replica.room.path("wal").display()));
        succeed(backup).await;
        replica.start_first().await;
        replica
    }

    /// A replica receives changes, and does not show them.
    pub async fn pause_replay(&self) {
        self.execute("postgres", "select pg_wal_replay_pause()").await;
        let is_paused = "select 1 where pg_get_wal_replay_pause_state() = 'paused'";
        crate::eventually("the replay to stand still", async || self.finds(is_paused).await).await;
    }

    /// It shows what it has received.
    pub async fn resume_replay(&self) {
        self.execute("postgres", "select pg_wal_replay_resume()").await;
    }

    /// The replica becomes a primary.
    pub async fn promote(&mut self) {
        self.execute("postgres", "select pg_promote(true, 60)").await;
        self.is_replica = false;
    }

    /// Fills the small disk to its last page. What is there can still be read, and changed where there is room for it.
    pub async fn fill_disk(&self) {
        assert!(self.has_small_disk, "only with_small_disk can be filled");
        let mut command = Command::new("dd");
        command.args(["if=/dev/zero", "bs=4096"]).arg(format!("of={}", self.filler().display()));
        assert!(!output(command).await.status.success(), "the disk has an end");
    }

    /// Gives the space back.
    pub async fn free_disk(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.room.folder.join("disk").join("filler")
    }

    fn data(&self) -> PathBuf {
        if self.has_small_disk { self.room.folder.join("disk").join("data") } else { self.room.path("data") }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.room.command(self.room.programs.join(program));
        command.env("PGPASSWORD", &self.room.password);
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
