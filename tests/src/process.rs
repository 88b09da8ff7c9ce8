//! Real processes, to be killed with -9.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{Fleet, logs};

/// A program of the fleet as a process of its own. It is killed when dropped, and what it logged is searched for secrets
/// and telephone numbers.
pub struct Process {
    child: Child,
    /// What it says, where nobody else keeps it.
    log: Option<PathBuf>,
}

impl Process {
    /// Starts a program of this fleet, with two seconds of lease; with its database, its broker, and more.
    pub fn of(fleet: &Fleet, binary: &str, program: &str, more: &[(&str, &str)]) -> Self {
        let amqp_url = std::env::var("AMQP_URL").unwrap_or_default();
        let mut environment = vec![
            ("DATABASE_URL", fleet.database.url.as_str()),
            ("AMQP_NAMESPACE", fleet.namespace.as_str()),
            ("WORKER_LEASE_SECONDS", "2"),
            ("UNCONFIRMED_LOOKS_SECONDS", "1,2"),
            ("RUST_LOG", logs::FILTER),
        ];
        environment.extend_from_slice(more);
        if !amqp_url.is_empty() {
            environment.push(("AMQP_URL", amqp_url.as_str()));
        }
        Self::start(binary, program, &environment)
    }

    /// Starts `regua-worker` or `regua-periodic` out of the tests' own binary, which calls the same `start`.
    pub fn start(binary: &str, program: &str, environment: &[(&str, &str)]) -> Self {
        for (_, value) in environment {
            logs::keep_password_of(value);
        }
        let name = format!("regua-{program}-{:032x}.log", crate::database::random());
        let log = std::env::temp_dir().join(name);
        let file = OpenOptions::new().append(true).create_new(true).open(&log).expect("a log");
        let mut process = Self::spawn(Self::command(binary, program, environment).stdout(Stdio::null()).stderr(file));
        process.log = Some(log);
        process
    }

    /// As `start`, with all it says added to a file.
    pub fn start_with_log(binary: &str, program: &str, environment: &[(&str, &str)], log: &Path) -> Self {
        let log = OpenOptions::new().append(true).create(true).open(log).expect("a log");
        let also = log.try_clone().expect("the same log");
        Self::spawn(Self::command(binary, program, environment).stdout(log).stderr(also))
    }

    fn command(binary: &str, program: &str, environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(binary);
        command.arg(program).env_remove("AMQP_URL").env("METRICS_PORT", "0").env("LOG_FORMAT", "pretty");
        command
            .env("REGUA_SECRET_KEY", regua_boot::DEVELOPMENT_SECRET_KEY)
            .env("GATEWAY_ALLOW_NETWORKS", "127.0.0.0/8");
        command.envs(environment.iter().copied()).stdin(Stdio::null());
        command
    }

    fn spawn(command: &mut Command) -> Self {
        Self { child: command.spawn().expect("the program starts"), log: None }
    }

    /// Whether it has not ended by itself.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Waits until it has died by itself.
    pub async fn died(mut self) {
        crate::eventually("the process to die", async || self.child.try_wait().expect("it can be asked").is_some())
            .await;
    }

    /// SIGTERM, and waits for its exit status.
    pub fn terminate(mut self) -> std::process::ExitStatus {
        self.signal("-TERM");
        self.child.wait().expect("it ends")
    }

    /// SIGSTOP: it stands still, and does not know it.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success(), "{signal} could not be sent");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_waited_for = self.child.wait();
        let Some(log) = self.log.take() else { return };
        let text = std::fs::read(&log).unwrap_or_default();
        let _removed = std::fs::remove_file(&log);
        let leaks = logs::leaks_in(&text);
        assert!(leaks.is_empty() || std::thread::panicking(), "a process logged secrets:\n{}", leaks.join("\n"));
    }
}
