"""A process that runs its flow itself is killed, again and again: nothing acknowledged is undone, or done twice."""

from __future__ import annotations

import signal
from collections import Counter
from random import Random

import pytest

from tests.e2e.conftest import SECONDS
from tests.e2e.crash.conftest import House, at_once, kill_after
from tests.tiers import in_both_tiers

HOMES = 4
"""At work at once."""
KILLS = 15
"""In each home: 60 in each run of CI, and 19 times as many more each night."""
STEPS = 400
"""More than anybody gets through before being killed so often."""

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


def kill_again_and_again(house: House, chance: Random) -> None:
    house.write("writer.py", FLOW)
    acknowledged: set[str] = set()
    for _ in range(KILLS):
        acknowledged |= killed_once(house, chance.expovariate(1 / 0.1), acknowledged)

    process = house.python("writer.py", str(STEPS))
    told, errors = process.communicate(timeout=SECONDS)
    assert told.splitlines()[-1] == str(sum(range(STEPS))), errors
    assert house.faults_at_rest() == []
    assert max(Counter(house.lines("ran")).values()) <= 1 + KILLS
    ((attempts,),) = house.rows("SELECT attempt FROM flow_runs")
    assert attempts <= 1 + KILLS


def killed_once(house: House, seconds: float, acknowledged: set[str]) -> set[str]:
    """The steps that a process told of as done, until it was killed."""
    ran_before = Counter(house.lines("ran"))
    process = house.python("writer.py", str(STEPS))
    first = process.stdout.readline()
    kill_after(process, seconds)
    told, errors = process.communicate(timeout=SECONDS)
    assert errors == "" or "INFO" in errors
    assert process.returncode == -signal.SIGKILL
    ran = Counter(house.lines("ran"))
    done_again = {i for i in acknowledged if ran[i] != ran_before[i]}
    told_now = {line for line in (first + told).split("\n")[:-1] if line.isdecimal() and int(line) < STEPS}
    stored = {name for (name,) in house.rows("SELECT name FROM task_runs WHERE state_type = 'COMPLETED'")}
    assert (house.faults(), done_again) == ([], set())
    assert {f"step-{i}" for i in acknowledged | told_now} <= stored
    return told_now


@pytest.mark.promise("P1", "P8", "P12")
@in_both_tiers(quick=1, nightly=19)
def test_what_writers_that_are_killed_sixty_times_were_told_is_stored_and_is_not_done_again(houses, round_):
    at_once(kill_again_and_again, houses(HOMES), f"writer {round_}")
