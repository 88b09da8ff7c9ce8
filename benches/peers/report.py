"""Computes medians of the runs and prints the table."""

import os
import platform
import statistics
import subprocess
from pathlib import Path

import psycopg

COLUMNS = {
    "sends_per_second": ("sends/s", "{:,.0f}"),
    "intake_per_second": ("intake/s", "{:,.0f}"),
    "rss_mb": ("memory MB", "{:,.0f}"),
    "cpu_seconds": ("CPU s", "{:.1f}"),
    "servers_cpu_seconds": ("servers' CPU s", "{:.1f}"),
}


def summary(name: str, version: str, settings: dict, runs: list[dict]) -> dict:
    medians = {figure: median([run[figure] for run in runs]) for figure in COLUMNS}
    concurrency = " ".join(f"{key.lower().partition('_')[2]}={value}" for key, value in settings.items())
    return {"name": name, "version": version, "concurrency": concurrency, **medians, "runs": runs}


def median(values: list[float | None]) -> float | None:
    return None if None in values else statistics.median(values)


def machine(database_url: str) -> dict:
    with psycopg.connect(database_url) as database:
        settings = {name: database.execute(f"show {name}").fetchone()[0] for name in ("fsync", "synchronous_commit")}
        postgresql = database.execute("show server_version").fetchone()[0]
    redis = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True, timeout=5).stdout
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory),
        "system": platform.platform(),
        "python": platform.python_version(),
        "postgresql": postgresql,
        "postgresql_settings": settings,
        "redis": redis.partition("v=")[2].split()[0],
    }


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def show(result: dict) -> None:
    machine = result["machine"]
    print(
        f"{result['messages']:,} messages, {result['runs']} runs: median (lowest to highest)."
        f" {machine['cores']} cores, {machine['processor']}, PostgreSQL {machine['postgresql']}"
        f" (fsync {machine['postgresql_settings']['fsync']})\n"
    )
    rows = [["", *(title for title, _ in COLUMNS.values()), "with"]]
    rows += [
        [f"{peer['name']} {peer['version']}", *(cell(peer, figure) for figure in COLUMNS), peer["concurrency"]]
        for peer in result["peers"]
    ]
    if regua := result.get("regua"):
        rows.append(["Régua", *(cell(regua, figure) for figure in COLUMNS), ""])
    print_table(rows)
    if regua:
        show_ratios(result["peers"], regua)


def cell(figures: dict, figure: str) -> str:
    if figures.get(figure) is None:
        return "–"
    form = COLUMNS[figure][1].format
    values = [run[figure] for run in figures.get("runs", []) if isinstance(run, dict) and run.get(figure) is not None]
    span = f" ({form(min(values))}–{form(max(values))})" if len(values) > 1 else ""
    return form(figures[figure]) + span


def show_ratios(peers: list[dict], regua: dict) -> None:
    """Régua's factor over each peer: more sends and intake, less cost."""
    print("\nRégua, times better (below 1: worse)\n")
    more = ("sends_per_second", "intake_per_second", "intake_below_http_per_second")
    titles = ["sends/s", "intake/s", "intake/s below HTTP", *(title for title, _ in list(COLUMNS.values())[2:])]
    rows = [["than", *titles]]
    for peer in peers:
        ratios = [ratio(regua.get(figure), peer[figure.replace("_below_http", "")]) for figure in more]
        ratios += [ratio(peer[figure], regua.get(figure)) for figure in list(COLUMNS)[2:]]
        rows.append([peer["name"], *ratios])
    print_table(rows)


def ratio(above: float | None, below: float | None) -> str:
    return "–" if above is None or not below else f"{above / below:.1f}"


def print_table(rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:-1], widths[1:-1]))]
        print("  ".join([*cells, row[-1]]).rstrip())
