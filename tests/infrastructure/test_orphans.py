"""What dead runners left behind is found by its environment and killed; what belongs to anybody else is let live."""

from __future__ import annotations

import signal
import subprocess
from contextlib import contextmanager

import pytest
import trio
from attrs import evolve

from tests.infrastructure.conftest import SECONDS
from trioflow.infrastructure.environment import spell_owner
from trioflow.infrastructure.orphans import sweep_orphans, sweep_run
from trioflow.processes import EPOCH, FLOW_RUN_ID, RUNNER, this_process

DEAD = evolve(this_process(), started=this_process().started - 1)
"""Had this process's pid before it."""
ELSEWHERE = evolve(this_process(), host="another host")


@contextmanager
def running(environment, script="echo ready; exec sleep 999"):
    with subprocess.Popen(["sh", "-c", script], env=environment, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def left_behind(environment):
    """The environment of what a dead runner of the test's home started."""
    return {**environment, RUNNER: spell_owner(DEAD)}


async def test_what_a_dead_runner_of_this_home_left_behind_is_killed(left_behind, tmp_path):
    with (
        running(left_behind) as one,
        running(left_behind, "sleep 999 & echo ready; exec sleep 999") as other,
    ):
        with trio.fail_after(SECONDS):
            assert await sweep_orphans(tmp_path) == 3

        assert [one.wait(), other.wait()] == [-signal.SIGKILL] * 2


@pytest.mark.parametrize(
    "changed",
    [
        {RUNNER: spell_owner(this_process())},
        {RUNNER: spell_owner(ELSEWHERE)},
        {RUNNER: "nobody"},
        {"TRIOFLOW__HOME": "/another/home"},
    ],
    ids=["a living runner's", "a runner's on another host", "nobody's", "another home's"],
)
async def test_what_is_not_known_to_be_an_orphan_of_this_home_is_let_live(left_behind, tmp_path, changed):
    with running({**left_behind, **changed}) as process:
        assert await sweep_orphans(tmp_path) == 0
        assert process.poll() is None


@pytest.mark.parametrize("missing", [FLOW_RUN_ID, RUNNER, "TRIOFLOW__HOME"])
async def test_what_lacks_one_of_the_marks_is_let_live(left_behind, tmp_path, missing):
    del left_behind[missing]
    with running(left_behind) as process:
        assert await sweep_orphans(tmp_path) == 0
        assert process.poll() is None


async def test_a_sweep_with_grace_waits_for_those_who_end_by_themselves(left_behind, tmp_path):
    swept = []

    async def sweep():
        swept.append(await sweep_orphans(tmp_path, grace=SECONDS))

    with running(left_behind) as process, trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sweep)
            await trio.testing.wait_all_tasks_blocked(0.05)
            process.terminate()

        assert (process.wait(), swept) == (-signal.SIGTERM, [0])


async def test_a_sweep_kills_who_outlives_the_grace(left_behind, tmp_path):
    with running(left_behind) as process:
        with trio.fail_after(SECONDS):
            assert await sweep_orphans(tmp_path, grace=0.05) == 1

        assert process.wait() == -signal.SIGKILL


async def test_the_sweep_of_a_run_kills_that_epoch_of_it_and_nothing_else(environment):
    with running(environment) as meant, running({**environment, EPOCH: "2"}) as newer:
        with trio.fail_after(SECONDS):
            assert await sweep_run(environment) == 1

        assert (meant.wait(), newer.poll()) == (-signal.SIGKILL, None)
