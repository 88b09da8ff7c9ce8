//! Private servers of a test, which it can kill, freeze and restart. This module has the common parts: a folder, its
//! processes, and a guard process that stops and removes everything, also if the test is killed.

mod pgbouncer;
mod postgres;
mod rabbitmq;
mod redis;

use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use rabbitmq::{Rabbit, RabbitCluster};
pub use redis::Redis;

use crate::database::random;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/private-server");

/// The folder, the user and the processes of a private server.
struct Host {
    root: PathBuf,
    /// The user that runs the server; none: the user of the test.
    user: Option<String>,
    programs: PathBuf,
    port_mapper: PathBuf,
    password: String,
    running: Vec<(&'static str, Child)>,
    guard: Child,
}

impl Host {
    /// None if the server's programs are not installed, or if a small `disk` cannot be mounted.
    async fn new(name: &str, disk: Option<&str>) -> Option<Self> {
        let mut command = script("room");
        command.arg(name).args(disk);
        let made = output(command).await;
        if !made.status.success() {
            print_reason(name, &made);
            return None;
        }
        let text = String::from_utf8(made.stdout).unwrap();
        let mut lines = text.lines().map(str::to_owned);
        let mut line = || lines.next().expect("a line of private-server");
        let root = PathBuf::from(line());
        let mut guard = script("guard");
        guard.arg(&root).stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        Some(Self {
            guard: guard.spawn().unwrap(),
            root,
            user: Some(line()).filter(|user| !user.is_empty()),
            programs: line().into(),
            port_mapper: line().into(),
            password: format!("{:032x}", random()),
            running: Vec::new(),
        })
    }

    /// A path that only the server's user may read and write.
    fn path(&self, name: &str) -> PathBuf {
        self.root.join("room").join(name)
    }

    fn write_file(&self, name: &str, text: &str) {
        use std::os::unix::fs::MetadataExt;
        let path = self.path(name);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let owner = self.root.join("room").metadata().unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    /// A command that runs as the server's user.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = match &self.user {
            None => Command::new(program.as_ref()),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups", "--"]);
                command.arg(program.as_ref());
                command
            }
        };
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// Starts a server in the background. Its log and its pid file have its `name`.
    fn launch(&mut self, name: &'static str, mut command: Command) {
        let log = std::fs::File::create(self.log(name)).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let child = command.spawn().unwrap();
        std::fs::write(self.pid_file(name), child.id().to_string()).unwrap();
        self.running.push((name, child));
    }

    fn log(&self, name: &str) -> PathBuf {
        self.root.join(format!("{name}.log"))
    }

    fn pid_file(&self, name: &str) -> PathBuf {
        self.root.join(format!("{name}.pid"))
    }

    fn read_log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log(name)).unwrap_or_default()
    }

    fn is_running(&mut self, name: &str) -> bool {
        let child = self.running.iter_mut().find(|(running, _)| *running == name);
        child.is_some_and(|(_, child)| child.try_wait().unwrap().is_none())
    }

    fn id(&self, name: &str) -> String {
        let (_, child) = self.running.iter().find(|(running, _)| *running == name).expect("a running server");
        child.id().to_string()
    }

    async fn signal(&self, name: &str, signal: &str) {
        let mut command = script("signal");
        command.args([signal, &self.id(name)]);
        assert!(output(command).await.status.success(), "{signal} could not be sent to {name}");
    }

    /// Sends SIGKILL to the server and all its children, as in a power failure.
    async fn kill(&mut self, name: &str) {
        if self.is_running(name) {
            self.signal(name, "KILL").await;
        }
        self.wait_until_ended(name).await;
    }

    /// Waits up to two minutes: a stopping PostgreSQL waits for connections to authenticate (authentication_timeout).
    async fn wait_until_ended(&mut self, name: &str) {
        for _ in 0..6000 {
            if !self.is_running(name) {
                self.running.retain(|(running, _)| *running != name);
                let _ignored = std::fs::remove_file(self.pid_file(name));
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{name} does not end; the end of the log:\n{}", self.tail(name));
    }

    fn tail(&self, name: &str) -> String {
        let log = self.read_log(name);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The guard removes the server at the end of its input.
        drop(self.guard.stdin.take());
        let _ended = self.guard.wait();
        for (_, child) in &mut self.running {
            let _ended = child.wait();
        }
    }
}

#[expect(clippy::print_stdout, reason = "the output of the tests names what was left out")]
fn print_reason(name: &str, made: &Output) {
    println!("no private {name}, left out: {}", String::from_utf8_lossy(&made.stderr).trim());
}

fn script(command: &str) -> Command {
    let mut script = Command::new("bash");
    script.args([SCRIPT, command]).stdin(Stdio::null());
    script
}

/// Runs a command to its end without blocking the tasks of the test.
async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// A free port below the range of outgoing connections. The caller tries another one if a process takes it first.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = 20_000 + u16::try_from(random() % 12_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
