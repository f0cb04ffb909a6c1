"""Nothing of a run's tree outlives its end, whatever ends it. On Linux: elsewhere only the process group is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest
import trio

from tests.infrastructure.trees import TREES, Tether, alive
from tests.tiers import in_both_tiers
from trioflow import clock
from trioflow.infrastructure.environment import flow_run_environment
from trioflow.processes import FLOW_RUN_ID

RUNNER = Path(__file__).with_name("runner.py")
GRACE = 0.2
WITHIN = GRACE + 2
"""Seconds: the promise."""

ALL_LINES = len(TREES) + 1
"""What a runner says: that each tree stands, and that it has forked."""

pytestmark = pytest.mark.promise("P6")


async def stop(started):
    started.process.request_stop(0)
    await started.wait()


async def cancel_the_owner(started):
    started.scope.cancel()


async def kill_the_shim(started):
    """The one hole of a shim; the runner closes it."""
    for pid, command in alive(started.mark).items():
        if "shim.py" in command:
            os.kill(pid, signal.SIGKILL)
    await started.wait()


@contextmanager
def killed_runner(home, tether, lines):
    """Have a runner start one tree of each kind, and kill it when it has said so many lines. Gives their marks.

    If it came to that, a fork of it still has all that it had open.
    """
    runs = {clock.new_id().hex: tether.script(kind) for kind in TREES}
    command = [sys.executable, RUNNER, home, str(GRACE), *(part for run in runs.items() for part in run)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as runner:
        said = iter(runner.stdout.readline, "")
        assert next(said) == "starting\n"
        assert {*islice(said, lines)} <= {"ready\n", "forked\n"}
        runner.kill()
        yield [f"{FLOW_RUN_ID}={run_id}" for run_id in runs]


EVER_HOPPING = "session hopper"
"""May get away from a sweep: while one looks for him, he is somebody else. A living shim is his parent, and waits."""

ten_times = in_both_tiers(quick=10, nightly=90)
"""Of each kind, for each of five ends, but one: 340 trees in each run of CI, and 3,060 more each night."""


@pytest.fixture
async def tether(tmp_path):
    return Tether(tmp_path / "tether")


@pytest.fixture
def stand(start, tether, tmp_path):
    """Starts one tree of each of these kinds, at once, each of a run of its own; returns when all stand."""

    async def grow(kind, trees):
        environment = flow_run_environment(clock.new_id(), 1, tmp_path)
        tree = await start("sh", "-c", tether.script(kind), grace=GRACE, environment=environment)
        await tree.wait_said("ready")
        trees.append(tree)

    async def grow_all(kinds):
        trees = []
        async with trio.open_nursery() as nursery:
            for kind in kinds:
                nursery.start_soon(grow, kind, trees)
        return trees

    return grow_all


@pytest.mark.parametrize("end", [stop, cancel_the_owner, kill_the_shim], ids=lambda end: end.__name__)
@ten_times
async def test_nobody_outlives_a_stop_its_owner_or_its_shim(stand, tether, end, round_):
    trees = await stand([kind for kind in TREES if (kind, end) != (EVER_HOPPING, kill_the_shim)])

    async with trio.open_nursery() as nursery:
        for tree in trees:
            nursery.start_soon(end, tree)

    await tether.wait_nobody([tree.mark for tree in trees], WITHIN)


ADOPTING_RUNNER = Path(__file__).with_name("adopting_runner.py")


@pytest.mark.parametrize("kind", TREES)
async def test_nobody_outlives_his_shim_below_a_runner_that_adopts_and_all_are_buried(tmp_path, tether, kind):
    run_id = clock.new_id().hex
    command = [sys.executable, ADOPTING_RUNNER, tmp_path, run_id, tether.script(kind)]
    done = await trio.run_process(command, capture_stdout=True)

    await tether.wait_nobody([f"{FLOW_RUN_ID}={run_id}"], WITHIN)
    assert done.stdout == b"-9 []\n"


@ten_times
async def test_nobody_outlives_a_runner_that_is_killed(tmp_path, tether, round_):
    with killed_runner(tmp_path, tether, ALL_LINES) as marks:
        await tether.wait_nobody(marks, WITHIN)


@ten_times
async def test_nobody_outlives_a_runner_that_is_killed_while_they_start(tmp_path, tether, round_):
    with killed_runner(tmp_path, tether, round_ % ALL_LINES) as marks:
        await tether.wait_nobody(marks, WITHIN)
