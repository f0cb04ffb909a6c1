"""The runner, a run's process and its shim are killed: the run CRASHES, its tree is gone, and serving goes on."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tests.e2e.conftest import SECONDS, kill, wait_for_line
from tests.e2e.crash.conftest import House, at_once, house_processes, wait_until
from tests.tiers import in_both_tiers

FLOWS = """
import os
from pathlib import Path

import trio

from trioflow import current_flow_run, flow, task


@task(tags=["narrow"])
async def step(i: int) -> int:
    await trio.sleep(0.02)
    return i


@flow
async def works(steps: int = 40_000) -> None:
    with Path("at work").open("a") as log:
        log.write(f"{current_flow_run().id} {os.getpid()} {os.getppid()}\\n")
    for i in range(steps):
        await step(i)


served = works.to_deployment("served", interval=1)
"""
SERVE = ("serve", "flows.py:served", "--limit", "3", "--no-pause-on-shutdown")
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


HOMES = 2
"""At work at once."""
RUNS_KILLED = 30
"""In each home: 60 processes and 60 shims in each run of CI, and nine times as many more each night."""
RUNNERS_KILLED = 10
"""In each home: 20, and 180 more each night."""
GONE_WITHIN = 15.0
"""Seconds, for the trees of a runner that was killed."""


def prepared(house: House) -> House:
    """With flows to serve, whose tasks share two slots."""
    house.write("flows.py", FLOWS)
    assert house.run("limit", "set", "narrow", "2").returncode == 0
    return house


def started(house: House):
    process = house.start(*SERVE)
    wait_for_line(process, "Your deployments are being served")
    return process


def at_work(house: House, known: set[str]) -> list[list[str]]:
    """Run, process and shim of every run that has begun and that nobody has killed."""
    return [
        line.split()
        for line in house.lines("at work")
        if line.split()[0] not in known and len(line.split()) == 3
    ]


def state_of(house: House, run: str) -> str:
    ((state,),) = house.rows(
        "SELECT state_type FROM flow_runs WHERE id = ?", bytes.fromhex(run.replace("-", ""))
    )
    return state


def is_gone(pid: str) -> bool:
    """Whether it runs no more; who will bury it is another matter."""
    try:
        stat = Path("/proc", pid, "stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in {"Z", "X"}


def leave(house: House, process) -> None:
    """Both signals, then the database as it is at rest."""
    process.send_signal(signal.SIGTERM)
    wait_for_line(process, "Stopping")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=SECONDS)
    assert "database is locked" not in output
    assert house.faults_at_rest() == []
    assert wait_until(lambda: not house_processes(house))


def kill_parts(house: House, chance: Random, part: str) -> None:
    """Kills the process, or the shim, of one run after the other, while the runner goes on."""
    process = started(prepared(house))
    killed: set[str] = set()
    for _ in range(RUNS_KILLED):
        run, pid, shim = wait_until(lambda: chance.sample(found := at_work(house, killed), bool(found)))[0]
        os.kill(int(pid if part == "process" else shim), signal.SIGKILL)
        killed.add(run)
        assert wait_until(lambda run=run: state_of(house, run) in ENDED) is True
        assert (state_of(house, run), is_gone(pid), is_gone(shim)) == ("CRASHED", True, True)
        assert house.faults() == []
    assert process.poll() is None
    leave(house, process)


@pytest.mark.promise("P1", "P3", "P6", "P7")
@pytest.mark.parametrize("part", ["process", "shim"])
@in_both_tiers(quick=1, nightly=9)
def test_sixty_runs_whose_process_or_shim_is_killed_have_crashed_and_their_runners_go_on(
    houses, part, round_
):
    at_once(partial(kill_parts, part=part), houses(HOMES), f"{part} {round_}")


def kill_runners(house: House, chance: Random) -> None:
    """Kills the runner, again and again; the last one ends all that the others left."""
    prepared(house)
    killed: set[str] = set()
    for _ in range(RUNNERS_KILLED):
        process = started(house)
        wait_until(lambda: not all(is_gone(pid) for _, pid, _ in at_work(house, set())))
        time.sleep(chance.uniform(0, 0.2))
        kill(process)
        assert wait_until(lambda: not house_processes(house), GONE_WITHIN)
        killed |= {run for run, _, _ in at_work(house, killed)}
        assert house.faults() == []
    process = started(house)
    assert wait_until(lambda: {state_of(house, run) for run in killed} == {"CRASHED"})
    assert house.faults() == []
    assert wait_until(lambda: at_work(house, killed))
    leave(house, process)


@pytest.mark.promise("P1", "P3", "P6", "P8")
@in_both_tiers(quick=1, nightly=9)
def test_twenty_killed_runners_leave_no_process_and_the_next_ones_end_their_runs(houses, round_):
    at_once(kill_runners, houses(HOMES), f"runner {round_}")
