"""A process that runs its flow itself is killed, again and again: nothing acknowledged is undone, or done twice."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.e2e.conftest import SECONDS
from tests.e2e.crash.conftest import House, in_both_tiers, kill_after

KILLS_A_ROUND = 4
STEPS = 60

FLOW = """
import sys
from pathlib import Path

import trio

from trioflow import flow, rerun, task
from trioflow.client.connect import current_client
from trioflow.wire.endpoints import FIND_FLOW_RUNS
from trioflow.wire.filters import FlowRunFilter
from trioflow.wire.requests import FindFlowRuns


@task
async def step(i: int) -> int:
    with Path("ran").open("a") as log:
        log.write(f"{i}\\n")
    await trio.sleep(0.005)
    return i


@task
async def side(i: int) -> int:
    return i


@flow
async def steps(n: int) -> int:
    total = 0
    for i in range(n):
        side.submit(i)
        total += await step(i)
        print(i, flush=True)
    return total


async def main() -> None:
    client = await current_client()
    found = await client.call(FIND_FLOW_RUNS, FindFlowRuns(filter=FlowRunFilter()))
    print(await (rerun(steps, found.runs[0].id) if found.runs else steps(int(sys.argv[1]))))


trio.run(main)
"""


@pytest.mark.promise("P1", "P8", "P12")
@in_both_tiers(quick=2, nightly=16)
def test_what_a_killed_writer_was_told_is_stored_and_is_not_done_again(house: House, chance, round_):
    house.write("writer.py", FLOW)
    acknowledged: set[str] = set()
    for _ in range(KILLS_A_ROUND):
        ran_before = Counter(house.lines("ran"))
        process = house.python("writer.py", str(STEPS))
        first = process.stdout.readline()
        kill_after(process, chance.expovariate(1 / 0.1))
        told, errors = process.communicate(timeout=SECONDS)
        assert errors == "" or "INFO" in errors
        done_again = {i for i in acknowledged if Counter(house.lines("ran"))[i] != ran_before[i]}
        acknowledged |= {
            line for line in (first + told).split("\n")[:-1] if line.isdecimal() and int(line) < STEPS
        }
        stored = {name for (name,) in house.rows("SELECT name FROM task_runs WHERE state_type = 'COMPLETED'")}
        assert (house.faults(), done_again) == ([], set())
        assert {f"step-{i}" for i in acknowledged} <= stored

    process = house.python("writer.py", str(STEPS))
    told, errors = process.communicate(timeout=SECONDS)
    assert told.splitlines()[-1] == str(sum(range(STEPS))), errors
    assert house.faults_at_rest() == []
    assert max(Counter(house.lines("ran")).values()) <= 1 + KILLS_A_ROUND
    ((attempts,),) = house.rows("SELECT attempt FROM flow_runs")
    assert attempts <= 1 + KILLS_A_ROUND
