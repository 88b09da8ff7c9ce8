//! Programs of the fleet as processes, which a test can kill and freeze.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::{Fleet, logs};

/// A process. Dropping it kills the process and searches its log for secrets and phone numbers.
pub struct Process {
    child: Child,
    /// The log, unless the caller owns it.
    log: Option<PathBuf>,
}

impl Process {
    /// Starts a program with the database and the broker of a fleet, a lease of two seconds, and more variables.
    pub fn for_fleet(fleet: &Fleet, binary: &str, program: &str, more: &[(&str, &str)]) -> Self {
        Self::of_fleet(fleet, command(binary, program), program, more)
    }

    /// Starts a program with the database and the broker of a fleet, which may open only so many file descriptors.
    pub fn with_descriptors(fleet: &Fleet, binary: &str, program: &str, descriptors: u32) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\""), binary, program]);
        Self::of_fleet(fleet, command, program, &[])
    }

    fn of_fleet(fleet: &Fleet, command: Command, program: &str, more: &[(&str, &str)]) -> Self {
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
        Self::of_command(command, program, &environment)
    }

    /// Starts a program from the tests' binary `regua-test-process`, which calls the program's own `start`.
    pub fn start(binary: &str, program: &str, environment: &[(&str, &str)]) -> Self {
        Self::of_command(command(binary, program), program, environment)
    }

    /// Starts a command; its log is named after `program`.
    pub(crate) fn of_command(command: Command, program: &str, environment: &[(&str, &str)]) -> Self {
        for (_, value) in environment {
            logs::register_password_of(value);
        }
        let name = format!("regua-{program}-{:032x}.log", crate::database::random());
        let log = std::env::temp_dir().join(name);
        let file = OpenOptions::new().append(true).create_new(true).open(&log).expect("a log");
        let mut process = Self::spawn(Self::prepared(command, environment).stdout(Stdio::null()).stderr(file));
        process.log = Some(log);
        process
    }

    /// The same, with the output appended to a file of the caller.
    pub fn start_with_log(binary: &str, program: &str, environment: &[(&str, &str)], log: &Path) -> Self {
        let log = OpenOptions::new().append(true).create(true).open(log).expect("a log");
        let stderr = log.try_clone().expect("the same log");
        Self::spawn(Self::prepared(command(binary, program), environment).stdout(log).stderr(stderr))
    }

    fn prepared(mut command: Command, environment: &[(&str, &str)]) -> Command {
        command.env_remove("AMQP_URL").env("METRICS_PORT", "0").env("LOG_FORMAT", "pretty");
        command
            .env("REGUA_SECRET_KEY", regua_secrets::DEVELOPMENT_SECRET_KEY)
            .env("GATEWAY_ALLOW_NETWORKS", "127.0.0.0/8");
        command.envs(environment.iter().copied()).stdin(Stdio::null());
        command
    }

    fn spawn(command: &mut Command) -> Self {
        Self { child: command.spawn().expect("the program starts"), log: None }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("the process ends");
    }

    /// Waits until the process has ended by itself.
    pub async fn wait_for_exit(mut self) {
        crate::eventually("the process to end", async || self.child.try_wait().expect("a child").is_some()).await;
    }

    /// Sends SIGTERM and waits for the exit status.
    pub fn terminate(mut self) -> std::process::ExitStatus {
        self.signal("-TERM");
        self.child.wait().expect("the process ends")
    }

    /// The number of file descriptors that the process has open.
    pub fn open_descriptors(&self) -> u64 {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("the process runs");
        u64::try_from(open.count()).expect("a count")
    }

    /// Changes the number of file descriptors that the running process may open.
    pub fn limit_descriptors(&self, descriptors: u64) {
        let process = Pid::from_raw(self.child.id().try_into().expect("a pid"));
        let limit = Rlimit { current: Some(descriptors), ..getrlimit(Resource::Nofile) };
        prlimit(process, Resource::Nofile, limit).expect("the limit can be set");
    }

    /// Sends SIGSTOP.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Sends SIGCONT.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success(), "{signal} could not be sent");
    }
}

fn command(binary: &str, program: &str) -> Command {
    let mut command = Command::new(binary);
    command.arg(program);
    command
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
