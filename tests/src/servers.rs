//! Servers of a test's own, to be killed, frozen, cut off and started again. What is the same for both is here: a folder,
//! processes in it, and a guard that ends and removes everything, also when the test itself is killed.

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

/// A server's folder, and the processes that were started in it.
struct Room {
    folder: PathBuf,
    /// As whom the server runs, when not as ourselves.
    user: Option<String>,
    programs: PathBuf,
    port_mapper: PathBuf,
    password: String,
    running: Vec<(&'static str, Child)>,
    guard: Child,
}

impl Room {
    /// None where the server's programs are not installed, or a small disk is asked for and cannot be had.
    async fn new(name: &str, disk: Option<&str>) -> Option<Self> {
        let mut command = script("room");
        command.arg(name).args(disk);
        let made = output(command).await;
        if !made.status.success() {
            say_why_not(name, &made);
            return None;
        }
        let told = String::from_utf8(made.stdout).unwrap();
        let mut lines = told.lines().map(str::to_owned);
        let mut line = || lines.next().expect("a line of private-server");
        let folder = PathBuf::from(line());
        let mut guard = script("guard");
        guard.arg(&folder).stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        Some(Self {
            guard: guard.spawn().unwrap(),
            folder,
            user: Some(line()).filter(|user| !user.is_empty()),
            programs: line().into(),
            port_mapper: line().into(),
            password: format!("{:032x}", random()),
            running: Vec::new(),
        })
    }

    /// What the server's user alone may read and write.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join("room").join(name)
    }

    /// Writes a file for the server's user.
    fn keep(&self, name: &str, text: &str) {
        use std::os::unix::fs::MetadataExt;
        let path = self.path(name);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let owner = self.folder.join("room").metadata().unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    /// A command as the server's user.
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

    /// Starts a server in the background. It is known by `name`, and so is its log.
    fn launch(&mut self, name: &'static str, mut command: Command) {
        let log = std::fs::File::create(self.log(name)).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let child = command.spawn().unwrap();
        std::fs::write(self.note(name), child.id().to_string()).unwrap();
        self.running.push((name, child));
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    fn note(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pid"))
    }

    fn read_log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log(name)).unwrap_or_default()
    }

    /// Whether it has not ended by itself.
    fn is_running(&mut self, name: &str) -> bool {
        let child = self.running.iter_mut().find(|(running, _)| *running == name);
        child.is_some_and(|(_, child)| child.try_wait().unwrap().is_none())
    }

    fn id(&self, name: &str) -> String {
        let (_, child) = self.running.iter().find(|(running, _)| *running == name).expect("a running server");
        child.id().to_string()
    }

    /// To the server and all its children.
    async fn signal(&self, name: &str, signal: &str) {
        let mut command = script("signal");
        command.args([signal, &self.id(name)]);
        assert!(output(command).await.status.success(), "{signal} could not be sent to {name}");
    }

    /// SIGKILL to the server and all its children, as in a power cut.
    async fn kill(&mut self, name: &str) {
        if self.is_running(name) {
            self.signal(name, "KILL").await;
        }
        self.ended(name).await;
    }

    /// Waits until it has ended. A PostgreSQL that is asked to stop waits for whoever has just connected to say something,
    /// which somebody behind a network that loses everything never does: up to its authentication_timeout, a minute.
    async fn ended(&mut self, name: &str) {
        for _ in 0..6000 {
            if !self.is_running(name) {
                self.running.retain(|(running, _)| *running != name);
                let _there_was_none = std::fs::remove_file(self.note(name));
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{name} does not end; the end of its log:\n{}", self.tail(name));
    }

    fn tail(&self, name: &str) -> String {
        let log = self.read_log(name);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // The end of its input is what the guard waits for.
        drop(self.guard.stdin.take());
        let _gone = self.guard.wait();
        for (_, child) in &mut self.running {
            let _gone = child.wait();
        }
    }
}

#[expect(clippy::print_stdout, reason = "whoever reads the tests' output should know what was left out")]
fn say_why_not(name: &str, made: &Output) {
    println!("no private {name}, left out: {}", String::from_utf8_lossy(&made.stderr).trim());
}

fn script(command: &str) -> Command {
    let mut script = Command::new("bash");
    script.args([SCRIPT, command]).stdin(Stdio::null());
    script
}

/// Runs a command to its end without holding up the others of the test.
async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// A port that nobody listens on, below those that the system gives to outgoing connections. It is free now; whoever
/// starts a server on it must be ready to try another.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = 20_000 + u16::try_from(random() % 12_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
