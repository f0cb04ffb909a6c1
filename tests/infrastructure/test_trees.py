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

from tests.infrastructure.trees import TREES, Tether, alive
from trioflow import clock
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

each_tree = pytest.mark.parametrize(
    ("kind", "end"),
    [
        (kind, end)
        for kind in TREES
        for end in (stop, cancel_the_owner, kill_the_shim)
        if (kind, end) != (EVER_HOPPING, kill_the_shim)
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
many_times = pytest.mark.parametrize("time", range(10))


@pytest.fixture
async def tether(tmp_path):
    return Tether(tmp_path / "tether")


@each_tree
async def test_nobody_outlives_a_stop_its_owner_or_its_shim(start, tether, kind, end):
    started = await start("sh", "-c", tether.script(kind), grace=GRACE)
    await started.wait_said("ready")

    await end(started)

    await tether.wait_nobody([started.mark], WITHIN)


@pytest.mark.parametrize("lines", [0, 3, ALL_LINES])
async def test_nobody_outlives_the_runner_whether_or_not_all_have_started(tmp_path, tether, lines):
    with killed_runner(tmp_path, tether, lines) as marks:
        await tether.wait_nobody(marks, WITHIN)


@pytest.mark.nightly
@many_times
@each_tree
async def test_nobody_outlives_a_stop_its_owner_or_its_shim_ever(start, tether, kind, end, time):
    await test_nobody_outlives_a_stop_its_owner_or_its_shim(start, tether, kind, end)


@pytest.mark.nightly
@many_times
@pytest.mark.parametrize("lines", range(ALL_LINES + 1))
async def test_nobody_outlives_the_runner_ever(tmp_path, tether, lines, time):
    await test_nobody_outlives_the_runner_whether_or_not_all_have_started(tmp_path, tether, lines)
