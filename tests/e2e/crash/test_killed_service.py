"""The runner, a run's process and its shim are killed: the run CRASHES, its tree is gone, and serving goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import SECONDS, kill, wait_for_line
from tests.e2e.crash.conftest import House, house_processes, in_both_tiers, wait_until

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


@pytest.fixture
def service(house: House):
    """A runner with three runs at work, and what to kill of them."""
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


@pytest.mark.promise("P1", "P3", "P6", "P7")
@pytest.mark.parametrize("part", ["process", "shim"])
@in_both_tiers(quick=1, nightly=14)
def test_a_run_whose_process_or_shim_is_killed_has_crashed_and_its_runner_goes_on(
    service: House, part, chance, round_
):
    process = started(service)
    killed: set[str] = set()
    for _ in range(3):
        run, pid, shim = wait_until(lambda: chance.sample(found := at_work(service, killed), bool(found)))[0]
        os.kill(int(pid if part == "process" else shim), signal.SIGKILL)
        killed.add(run)
        assert wait_until(lambda run=run: state_of(service, run) in ENDED) is True
        assert (state_of(service, run), is_gone(pid), is_gone(shim)) == ("CRASHED", True, True)
        assert service.faults() == []
    assert process.poll() is None
    leave(service, process)


@pytest.mark.promise("P1", "P3", "P6", "P8")
@in_both_tiers(quick=2, nightly=14)
def test_a_killed_runner_leaves_no_process_and_the_next_one_ends_its_runs(service: House, chance, round_):
    killed: set[str] = set()
    for _ in range(3):
        process = started(service)
        wait_until(lambda: not all(is_gone(pid) for _, pid, _ in at_work(service, set())))
        kill(process)
        assert wait_until(lambda: not house_processes(service), 15.0)
        killed |= {run for run, _, _ in at_work(service, killed)}
        assert service.faults() == []
    process = started(service)
    assert wait_until(lambda: {state_of(service, run) for run in killed} == {"CRASHED"})
    assert service.faults() == []
    assert wait_until(lambda: at_work(service, killed))
    leave(service, process)
