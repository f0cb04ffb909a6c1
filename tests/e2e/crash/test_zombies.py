"""A process that is stopped until its lease has run out, and then goes on: nothing that it says is heard any more."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import closing
from random import Random

import pytest

from tests.e2e.conftest import SECONDS
from tests.e2e.crash.conftest import House, at_once, wait_until
from tests.tiers import in_both_tiers
from trioflow.store.lock import FairLock

FLOW = """
import sys

from trioflow.core import leases

leases.LEASE_SECONDS = 3.0

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


ZOMBIES = 15
"""Of each kind: 30 in each run of CI, and nine times as many more each night."""
AT_ONCE = 5


def in_groups(houses: list[House]) -> list[list[House]]:
    return [houses[at : at + AT_ONCE] for at in range(0, len(houses), AT_ONCE)]


def history(house: House) -> list[tuple[object, ...]]:
    return house.rows("SELECT number, run_id, version, type FROM states ORDER BY number")


def stopped(house: House, chance: Random) -> subprocess.Popen[str]:
    """A process that is stopped in the middle of its flow, and whose lease has run out since."""
    house.write("zombie.py", FLOW)
    zombie = house.python("zombie.py", str(STEPS))
    for _ in range(chance.randrange(2, STEPS // 2)):
        zombie.stdout.readline()
    stop_between_writes(house, zombie)
    now = "strftime('%Y-%m-%dT%H:%M:%f', 'now')"
    wait_until(lambda: house.rows(f"SELECT 1 FROM leases WHERE expires < {now}"))
    return zombie


def stop_between_writes(house: House, process: subprocess.Popen[str]) -> None:
    """Whoever is stopped within one keeps the home's lock: then there is no successor until it is killed."""
    with closing(FairLock.beside(str(house.database))) as lock:
        stop(process)
        while not lock.enter_nowait():
            process.send_signal(signal.SIGCONT)
            process.stdout.readline()
            stop(process)
        lock.leave()


def stop(process: subprocess.Popen[str]) -> None:
    """Returns when it stands still."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)


def goes_on_later(house: House, chance: Random) -> None:
    zombie = stopped(house, chance)
    told, errors = house.python("zombie.py", str(STEPS)).communicate(timeout=SECONDS)
    assert told.splitlines()[-1:] == [f"all {STEPS}"], errors
    before = history(house)

    zombie.send_signal(signal.SIGCONT)
    zombie.communicate(timeout=SECONDS)

    assert history(house) == before
    assert house.faults_at_rest() == []


def goes_on_beside(house: House, chance: Random) -> None:
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


@pytest.mark.promise("P5", "P13")
@in_both_tiers(quick=1, nightly=9)
def test_fifteen_processes_that_go_on_after_their_successors_have_ended_write_nothing(houses, round_):
    for several in in_groups(houses(ZOMBIES)):
        at_once(goes_on_later, several, f"after {round_}")


@pytest.mark.promise("P5", "P13")
@in_both_tiers(quick=1, nightly=9)
def test_fifteen_processes_that_go_on_beside_their_successors_are_ended_and_change_nothing(houses, round_):
    for several in in_groups(houses(ZOMBIES)):
        at_once(goes_on_beside, several, f"beside {round_}")
