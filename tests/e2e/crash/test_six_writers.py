"""Six processes run flows in one home at once: none hears of a lock, and each gets its share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import SECONDS
from tests.e2e.crash.conftest import House

FLOW = """
import sys

import trio

from trioflow import flow, task


@task
async def one(i: int) -> int:
    return i


@flow
async def batch(n: int) -> int:
    for i in range(n):
        await one(i)
    return n


async def main(seconds: float) -> None:
    await batch(1)
    print("ready", flush=True)
    sys.stdin.readline()
    end, done = trio.current_time() + seconds, 0
    while trio.current_time() < end:
        done += await batch(10)
    print(done)


trio.run(main, float(sys.argv[1]))
"""
WRITERS = 6


@pytest.mark.parametrize(
    ("seconds", "share"),
    [(60, 0.10), pytest.param(600, 0.10, marks=[pytest.mark.nightly])],
    ids=["1 min", "10 min"],
)
def test_six_processes_share_one_home(house: House, seconds, share):
    house.write("writer.py", FLOW)
    writers = [house.python("writer.py", str(seconds)) for _ in range(WRITERS)]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    with ThreadPoolExecutor(WRITERS) as readers:  # of all at once: a full pipe would hold its writer up
        said = list(readers.map(lambda writer: writer.communicate(timeout=SECONDS + seconds), writers))
    done = [int(told) for told, _ in said]

    assert [writer.returncode for writer in writers] == [0] * WRITERS
    assert not any("locked" in errors or "Traceback" in errors for _, errors in said)
    mean = sum(done) / WRITERS
    assert {each for each in done if abs(each - mean) > share * mean} == set()
    assert (house.faults_at_rest(), house.rows("SELECT count(*) FROM task_runs")) == (
        [],
        [(sum(done) + WRITERS,)],
    )
