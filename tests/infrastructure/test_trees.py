"""Nothing of a run's tree outlives its end, whatever ends it. On Linux: elsewhere only the process group is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from tests.infrastructure.trees import TREES, alive, wait_gone
from trioflow import clock
from trioflow.infrastructure.environment import FLOW_RUN_ID

RUNNER = Path(__file__).with_name("runner.py")
GRACE = 0.2
WITHIN = GRACE + 2
"""Seconds: the promise."""

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


def kill_a_runner(home, ready):
    """Have a runner start one tree of each kind, and kill it when so many of them stand. Returns their marks."""
    runs = {clock.new_id().hex: script for script in TREES.values()}
    arguments = [part for run in runs.items() for part in run]
    command = [sys.executable, RUNNER, home, str(GRACE), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as runner:
        said = iter(runner.stdout.readline, "")
        assert next(said) == "starting\n"
        assert list(islice(said, ready)) == ["ready\n"] * ready
        runner.kill()
    return [f"{FLOW_RUN_ID}={run_id}" for run_id in runs]


each_end = pytest.mark.parametrize(
    "end", [stop, cancel_the_owner, kill_the_shim], ids=lambda end: end.__name__
)
each_tree = pytest.mark.parametrize("kind", TREES)
many_times = pytest.mark.parametrize("time", range(10))


@each_end
@each_tree
async def test_nobody_outlives_a_stop_its_owner_or_its_shim(start, kind, end):
    started = await start("sh", "-c", TREES[kind], grace=GRACE)
    await started.wait_said("ready")

    await end(started)

    await wait_gone(started.mark, WITHIN)


@pytest.mark.parametrize("ready", [0, 3, 7])
async def test_nobody_outlives_the_runner_whether_or_not_all_have_started(tmp_path, ready):
    for mark in kill_a_runner(tmp_path, ready):
        await wait_gone(mark, WITHIN)


@pytest.mark.nightly
@many_times
@each_end
@each_tree
async def test_nobody_outlives_a_stop_its_owner_or_its_shim_ever(start, kind, end, time):
    await test_nobody_outlives_a_stop_its_owner_or_its_shim(start, kind, end)


@pytest.mark.nightly
@many_times
@pytest.mark.parametrize("ready", range(8))
async def test_nobody_outlives_the_runner_ever(tmp_path, ready, time):
    await test_nobody_outlives_the_runner_whether_or_not_all_have_started(tmp_path, ready)
