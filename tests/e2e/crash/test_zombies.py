"""A process that is stopped until its lease has run out, and then goes on: nothing that it says is heard any more."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.e2e.conftest import SECONDS
from tests.e2e.crash.conftest import House, in_both_tiers, wait_until

FLOW = """
import sys

from trioflow.core import leases

leases.LEASE_SECONDS = 1.5

import trio

from trioflow import flow, rerun, task
from trioflow.client.connect import current_client
from trioflow.wire.endpoints import FIND_FLOW_RUNS
from trioflow.wire.filters import FlowRunFilter
from trioflow.wire.requests import FindFlowRuns


@task
async def step(i: int) -> int:
    await trio.sleep(0.01)
    return i


@flow
async def steps(n: int) -> int:
    for i in range(n):
        await step(i)
        print(i, flush=True)
    return n


async def main() -> None:
    client = await current_client()
    found = await client.call(FIND_FLOW_RUNS, FindFlowRuns(filter=FlowRunFilter()))
    print("all", await (rerun(steps, found.runs[0].id) if found.runs else steps(int(sys.argv[1]))))


trio.run(main)
"""
STEPS = 80


def history(house: House) -> list[tuple[object, ...]]:
    return house.rows("SELECT number, run_id, version, type FROM states ORDER BY number")


def stopped(house: House, chance) -> subprocess.Popen[str]:
    """A process that is stopped in the middle of its flow, and whose lease has run out since."""
    house.write("zombie.py", FLOW)
    zombie = house.python("zombie.py", str(STEPS))
    for _ in range(chance.randrange(2, STEPS // 2)):
        zombie.stdout.readline()
    zombie.send_signal(signal.SIGSTOP)
    now = "strftime('%Y-%m-%dT%H:%M:%f', 'now')"
    wait_until(lambda: house.rows(f"SELECT 1 FROM leases WHERE expires < {now}"))
    return zombie


@pytest.mark.promise("P5", "P13")
@in_both_tiers(quick=1, nightly=30)
def test_a_process_that_goes_on_after_its_successor_has_ended_writes_nothing(house: House, chance, round_):
    zombie = stopped(house, chance)
    told, errors = house.python("zombie.py", str(STEPS)).communicate(timeout=SECONDS)
    assert told.splitlines()[-1:] == [f"all {STEPS}"], errors
    before = history(house)

    zombie.send_signal(signal.SIGCONT)
    zombie.communicate(timeout=SECONDS)

    assert history(house) == before
    assert house.faults_at_rest() == []


@pytest.mark.promise("P5", "P13")
@in_both_tiers(quick=1, nightly=30)
def test_a_process_that_goes_on_beside_its_successor_is_ended_and_changes_nothing(
    house: House, chance, round_
):
    zombie = stopped(house, chance)
    successor = house.python("zombie.py", str(STEPS))
    successor.stdout.readline()

    zombie.send_signal(signal.SIGCONT)
    said, _ = zombie.communicate(timeout=SECONDS)
    told, errors = successor.communicate(timeout=SECONDS)

    assert (zombie.returncode, "all" in said) == (1, False)
    assert told.splitlines()[-1:] == [f"all {STEPS}"], errors
    assert house.faults_at_rest() == []
    assert house.rows("SELECT attempt, state_type FROM flow_runs") == [(2, "COMPLETED")]
