"""trioflow beside other versions of what it rewrites, in one run on one machine; prints a table in Markdown.

    python benchmarks/peers.py PYTHON_WITH_PREFECT_2 PYTHON_WITH_PREFECT_3

Each runs with its defaults and a fresh home: Prefect with ``prefect server start`` beside it and its own SQLite,
trioflow by ``bench.py``. What is said on the way goes to stderr.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).parent
PORT = 4917

NUMBERS = {"sequential": 200, "concurrent": 200, "empty_flow": 20, "latency": 5}
"""How many of each Prefect does."""

OURS = {
    "sequential": ("sequential", 2000),
    "concurrent": ("concurrent", 2000),
    "empty_flow": ("empty-flow", 200),
    "latency": ("serve-latency", 10),
}

TITLES = {
    "sequential": "no-op task, one after the other",
    "concurrent": "no-op task, all at once",
    "empty_flow": "empty flow, in process",
    "latency": "asked for a run → first line of its flow, served",
}


def main() -> None:
    """Measure all of them and print the table."""
    columns = {"trioflow": {name: ours(name) for name in TITLES}}
    for python in sys.argv[1:]:
        columns[f"Prefect {version(python)}"] = theirs(python)
    print("| what | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for name, title in TITLES.items():
        print(f"| {title} | " + " | ".join(spoken(column[name]) for column in columns.values()) + " |")


def ours(name: str) -> float:
    """Seconds an item."""
    benchmark, n = OURS[name]
    command = [sys.executable, str(HERE / "bench.py"), benchmark, "--n", str(n)]
    line = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
    return json.loads(line)["per_item_ms"] / 1e3


def theirs(python: str) -> dict[str, float]:
    """Seconds an item, of each benchmark."""
    with tempfile.TemporaryDirectory() as home, server(python, home) as environment:
        return {name: one(python, name, n, environment) for name, n in NUMBERS.items()}


def one(python: str, name: str, n: int, environment: dict[str, str]) -> float:
    """Seconds an item, of one benchmark."""
    command = [python, str(HERE / "prefect_flows.py"), name, str(n)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    (said,) = [line for line in done.stdout.splitlines() if line.startswith("measured ")]
    return float(said.split()[1])


@contextmanager
def server(python: str, home: str) -> Iterator[dict[str, str]]:
    """A Prefect server with a database of its own; gives the environment of its clients."""
    environment = os.environ | {
        "PREFECT_HOME": home,
        "PREFECT_API_URL": f"http://127.0.0.1:{PORT}/api",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [str(Path(python).with_name("prefect")), "server", "start", "--port", str(PORT)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_it_answers()
        yield environment
    finally:
        process.terminate()
        process.wait()


def until_it_answers() -> None:
    """Return when the server does."""
    for _ in range(900):
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/health"):
            return
        time.sleep(0.2)
    raise TimeoutError("the server does not answer")


def version(python: str) -> str:
    """Which Prefect this interpreter has."""
    code = "import importlib.metadata as m; print(m.version('prefect'))"
    return subprocess.run([python, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def spoken(seconds: float) -> str:
    """With a unit that fits."""
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1e3:.1f} ms"


if __name__ == "__main__":
    main()
