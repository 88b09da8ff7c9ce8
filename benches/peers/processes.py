"""Starts and stops processes and measures their resources. Linux only (/proc)."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(commands: list[list[str]], env: dict, cwd: Path, log: Path, stop_seconds: float = 5):
    """Runs the commands side by side. At the end, in every case, it stops them and their descendants by process id."""
    started: list[subprocess.Popen] = []
    with log.open("ab") as output:
        try:
            for command in commands:
                started.append(
                    subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
                )
            yield [process.pid for process in started]
        finally:
            family = tree([process.pid for process in started])
            for process in started:
                process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + stop_seconds
            for process in started:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
            for pid, start in family.items():
                if start_time(pid) == start:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            for process in started:
                process.wait()


def stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name, which may contain blanks."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def start_time(pid: int) -> str | None:
    fields = stat(pid)
    return fields[19] if fields else None


def tree(roots: list[int]) -> dict[int, str]:
    """The processes and their descendants, each with its start time, so that a reused process id is recognized."""
    children: dict[int, list[int]] = {}
    starts = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            starts[int(entry.name)] = fields[19]
    found, waiting = {}, list(roots)
    while waiting:
        pid = waiting.pop()
        if pid in starts and pid not in found:
            found[pid] = starts[pid]
            waiting += children.get(pid, [])
    return found


def cpu_seconds(roots: list[int]) -> float:
    """User and system time of the processes and their children, ended children included."""
    total = 0
    for pid in tree(roots):
        if fields := stat(pid):
            total += sum(int(field) for field in fields[11:15])
    return total / TICK


def memory_mb(roots: list[int]) -> float:
    """Proportional set size: shared memory counts once."""
    total = 0
    for pid in tree(roots):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        total += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
    return total / 1024


def listener(port: int) -> int | None:
    """The process that listens on a port of this machine; None if the server is elsewhere."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{fields[9]}]")
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if any(os.readlink(file) in sockets for file in (entry / "fd").iterdir()):
                    return ancestor(int(entry.name), sockets)
    return None


def ancestor(pid: int, sockets: set[str]) -> int:
    """The outermost process with the same socket: PostgreSQL's children inherit it."""
    with contextlib.suppress(OSError):
        parent = int((stat(pid) or ["", "1"])[1])
        if any(os.readlink(file) in sockets for file in Path(f"/proc/{parent}/fd").iterdir()):
            return ancestor(parent, sockets)
    return pid
