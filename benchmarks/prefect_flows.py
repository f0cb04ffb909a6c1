"""What `peers.py` has Prefect do, in an interpreter that has Prefect 2 or 3: ``python prefect_flows.py NAME N``.

Prints seconds an item. ``latency`` needs PREFECT_API_URL; a file of the name SAID takes the time of the first line.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from prefect import flow, task
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

SAID = Path(os.environ["PREFECT_HOME"], "said")


@task
def nothing(i: int) -> int:
    """The task."""
    return i


@flow
def one_by_one(n: int) -> float:
    """Call n tasks."""
    nothing(-1)
    began = time.perf_counter()
    for i in range(n):
        nothing(i)
    return time.perf_counter() - began


@flow
def all_at_once(n: int) -> float:
    """Submit n tasks, and wait for them."""
    nothing(-1)
    began = time.perf_counter()
    for future in [nothing.submit(i) for i in range(n)]:
        future.result()
    return time.perf_counter() - began


@flow
def empty() -> None:
    """Do nothing."""


@flow
def first_line() -> None:
    """Say when it runs."""
    SAID.write_text(repr(time.time()))


def sequential(n: int) -> float:
    """Seconds that n tasks take, one after the other."""
    return one_by_one(n)


def concurrent(n: int) -> float:
    """Seconds that n tasks take together."""
    return all_at_once(n)


def empty_flow(n: int) -> float:
    """Seconds that n flow runs take."""
    empty()
    began = time.perf_counter()
    for _ in range(n):
        empty()
    return time.perf_counter() - began


def latency(n: int) -> float:
    """A run is asked for, and its first line runs: served with the defaults, as `first_line.serve` does it."""
    serving = subprocess.Popen([sys.executable, __file__, "serve", "0"])
    total = 0.0
    try:
        for _ in range(n):
            total += one_latency()
    finally:
        serving.terminate()
        serving.wait()
    return total


def one_latency() -> float:
    """Seconds until one run's first line."""
    while True:
        try:
            asked = time.time()
            run_deployment("first-line/bench", timeout=0)
            break
        except ObjectNotFound:  # not served yet
            time.sleep(1)
    while not (SAID.exists() and (said := SAID.read_text())):
        time.sleep(0.01)
    SAID.unlink()
    time.sleep(3.7)  # the next one is asked for at another point of the runner's rhythm
    return float(said) - asked


def serve(_n: int) -> float:
    """Serve until terminated."""
    first_line.serve(name="bench")
    return 0.0


if __name__ == "__main__":
    measure, n = sys.argv[1], int(sys.argv[2])
    measured = {f.__name__: f for f in (sequential, concurrent, empty_flow, latency, serve)}[measure](n)
    print(f"measured {measured / max(n, 1)}")
