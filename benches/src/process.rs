//! A program of the fleet as a process, and the processor time and memory it uses.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use regua_secrets::DEVELOPMENT_SECRET_KEY;

/// Kernel ticks a second (`USER_HZ`).
const TICKS: f64 = 100.0;
/// More than a program's own shutdown grace.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);

/// A program that is killed when dropped.
pub(crate) struct Process {
    child: Child,
    name: &'static str,
}

impl Process {
    /// Starts a program that was built beside this one. Its log goes to `target/bench`.
    pub(crate) fn start(name: &'static str, environment: &[(&str, String)]) -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let binary = own.with_file_name(name);
        ensure!(binary.exists(), "{} does not exist: `make bench` builds it", binary.display());
        let log = output_folder()?.join(format!("{name}.log"));
        let log = File::options().append(true).create(true).open(log)?;
        let child = Command::new(binary)
            .envs(environment.iter().map(|(key, value)| (*key, value)))
            .env("REGUA_SECRET_KEY", DEVELOPMENT_SECRET_KEY)
            .env("GATEWAY_ALLOW_NETWORKS", "any")
            .env("RUST_LOG", std::env::var("BENCH_LOG").unwrap_or_else(|_| "warn".to_owned()))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{name} could not be started"))?;
        Ok(Self { child, name })
    }

    pub(crate) fn peak_megabytes(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024.0 / 1e6)
    }

    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        cpu_of(self.child.id(), false)
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "{} ended with {status}", self.name);
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("{} did not end within {} s", self.name, STOP_TIMEOUT.as_secs())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_waited_for = self.child.wait();
    }
}

/// Processor time of a process in seconds; with `with_reaped`, of its ended children as well.
fn cpu_of(pid: u32, with_reaped: bool) -> anyhow::Result<f64> {
    let fields = stat(pid)?;
    let ticks = |field: usize| -> anyhow::Result<f64> {
        Ok(fields.get(field).context("/proc/PID/stat is too short")?.parse()?)
    };
    let own = ticks(11)? + ticks(12)?;
    let children = if with_reaped { ticks(13)? + ticks(14)? } else { 0.0 };
    Ok((own + children) / TICKS)
}

/// Processor time in seconds of a server with one process for each connection, ended processes included. None where
/// `backend`, one of its processes, does not run on this machine.
pub(crate) fn cpu_of_server(backend: u32) -> Option<f64> {
    cpu_of_family(parent_of(backend)?)
}

/// Processor time in seconds of a process and its children, ended ones included. None where `server` does not run.
pub(crate) fn cpu_of_family(server: u32) -> Option<f64> {
    let mut sum = cpu_of(server, true).ok()?;
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if parent_of(pid) == Some(server) {
            sum += cpu_of(pid, true).unwrap_or_default();
        }
    }
    Some(sum)
}

fn parent_of(pid: u32) -> Option<u32> {
    stat(pid).ok()?.get(1)?.parse().ok()
}

/// The fields of `/proc/PID/stat` after the program's name.
fn stat(pid: u32) -> anyhow::Result<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat has an unknown format")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

/// A free port.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The folder for logs and figures: `bench` beside the profile's folder that this program was built into.
pub(crate) fn output_folder() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().nth(2).context("the program is not in a profile's folder")?.join("bench");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
