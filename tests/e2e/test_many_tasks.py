"""Ten thousand mapped tasks, in a process of its own, on the default database: all finish, in bounded memory (P14)."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tests.e2e.conftest import SECONDS, Home

FLOW = """
import gc
import json
import sys

import trio

from trioflow import Future, flow, task


@task
async def twice(i: int) -> int:
    return 2 * i


def megabytes(name: str) -> float:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(name))


def alive() -> list[int]:
    gc.collect()
    futures = sum(isinstance(each, Future) for each in gc.get_objects())
    return [futures, trio.lowlevel.current_statistics().tasks_living]


@flow
async def many(*counts: int) -> list[object]:
    await twice(0)
    told = [[0, alive(), before := megabytes("VmRSS")]]
    for count in counts:
        futures = twice.map(range(count))
        total = sum([await future for future in futures])
        del futures
        told.append([total, alive(), megabytes("VmHWM") - before])
    return told


print(json.dumps(trio.run(many, *map(int, sys.argv[1:]))))
"""
MOST_MEGABYTES = 250.0
"""For 10,000 tasks that are all there at once: about 100 were measured."""
MOST_MORE = 15.0
"""For 10,000 tasks that come after them."""


@pytest.mark.promise("P14")
def test_ten_thousand_mapped_tasks_finish_in_bounded_memory_and_the_next_ten_thousand_need_no_more(
    home: Home,
):
    home.write("many.py", FLOW)
    done = subprocess.run(
        [sys.executable, "many.py", "10000", "5000", "5000"],
        cwd=home.path,
        env={**home.environment, "TRIOFLOW_LOG_LEVEL": "WARNING"},
        capture_output=True,
        text=True,
        timeout=5 * SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (_, before, _), *rounds = json.loads(done.stdout)

    assert [total for total, _, _ in rounds] == [99_990_000, 24_995_000, 24_995_000]
    assert [alive for _, alive, _ in rounds] == [before] * 3
    peaks = [peak for _, _, peak in rounds]
    assert peaks[0] < MOST_MEGABYTES
    assert peaks[-1] - peaks[0] < MOST_MORE
    with closing(sqlite3.connect(home.path / "home" / "trioflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        states = "SELECT state_type, count(*) FROM task_runs GROUP BY state_type"
        assert database.execute(states).fetchall() == [("COMPLETED", 20_001)]
