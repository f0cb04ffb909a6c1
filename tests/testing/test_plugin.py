"""The pytest plugin costs nothing to load, and gives a flow's test all that it needs, without socket or thread."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from tests.architecture.sources import ROOT

COSTLY = {"apsw", "cattrs", "hypothesis", "orjson", "pendulum", "trio"}

A_TEST = """
import time
from datetime import timedelta

import pytest
import trio

from trioflow import clock, current_flow_run, flow, task
from trioflow.wire.endpoints import FIND_TASK_RUNS
from trioflow.wire.filters import TaskRunFilter
from trioflow.wire.requests import FindTaskRuns


@task(retries=1, retry_delay_seconds=3600)
async def flaky(seen: list[int]) -> int:
    seen.append(1)
    if len(seen) == 1:
        raise ValueError("not yet")
    return len(seen)


@flow
async def patient() -> int:
    return await flaky([])


@pytest.mark.trio
async def test_trio_alone():
    await trio.lowlevel.checkpoint()


@pytest.mark.trio
@pytest.mark.parametrize("attempt", range(3))
async def test_a_retry_takes_no_time(flow_client, autojump_clock, attempt):
    before = clock.now()
    assert await patient() == 2
    assert clock.now() - before >= timedelta(hours=1)
    (run,) = (await flow_client.call(FIND_TASK_RUNS, FindTaskRuns(filter=TaskRunFilter()))).runs
    assert (run.state.name, run.attempt) == ("Completed", 2)


@pytest.mark.trio
async def test_each_test_has_a_store_of_its_own(flow_client):
    found = await flow_client.call(FIND_TASK_RUNS, FindTaskRuns(filter=TaskRunFilter()))
    assert found.runs == ()
"""

WATCHING = """
import sys
import time

import pytest

seen = {"_thread.start_new_thread": 0, "socket.__new__": 0, "sqlite3.connect": 0}
sys.addaudithook(lambda event, _: event in seen and seen.update({event: seen[event] + 1}))
cpu = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    before, began = dict(seen), time.process_time()
    yield
    cpu.append(round(1000 * (time.process_time() - began), 1))
    print("\\nused", [seen[event] - before[event] for event in seen], "cpu ms", cpu[-1])
"""


@pytest.fixture
def project(tmp_path):
    """A user's project, with the plugin as pytest loads it from an installed trioflow."""
    (tmp_path / "test_flows.py").write_text(A_TEST, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(WATCHING, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    return tmp_path


def pytest_in(project, *arguments: str) -> str:
    plugins = [] if is_installed() else ["-p", "trioflow.testing.plugin"]
    command = [sys.executable, "-m", "pytest", *plugins, "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def is_installed() -> bool:
    """Whether this environment's trioflow was installed since the entry point is there."""
    from importlib.metadata import entry_points

    return any(point.value == "trioflow.testing.plugin" for point in entry_points(group="pytest11"))


def test_the_plugin_is_an_entry_point():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["entry-points"]["pytest11"] == {"trioflow": "trioflow.testing.plugin"}


def test_loading_the_plugin_imports_nothing_costly():
    code = "import sys, pytest; old = {*sys.modules}; import trioflow.testing.plugin; print(*{*sys.modules} - old)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert COSTLY & set(loaded) == set()
    assert sorted(loaded) == ["trioflow", "trioflow.testing", "trioflow.testing.plugin"]


def test_a_flows_test_uses_no_thread_no_file_and_no_socket_but_trios_own(project):
    told = pytest_in(project, "-q", "-s")

    used = [line.partition(" cpu ms ") for line in told.splitlines() if line.startswith("used ")]
    alone, *others = [text for text, _, _ in used]
    assert alone.startswith("used [0, ")  # and the socket pair that wakes up Trio's loop
    assert others == [alone] * 4
    assert min(float(cpu) for _, _, cpu in used[2:]) < 50
    assert "5 passed" in told


def test_the_simulation_is_there_for_tests_outside_of_trio(project):
    (project / "flows.py").write_text(SIMULATED, encoding="utf-8")
    (project / "test_flows.py").write_text(A_SIMULATION, encoding="utf-8")

    assert "1 passed" in pytest_in(project, "-q")


SIMULATED = """
import trio

from trioflow import flow


@flow
async def nightly():
    await trio.sleep(60)
"""
A_SIMULATION = """
from datetime import timedelta

from flows import nightly


def test_a_day_of_an_hourly_flow(simulation):
    outcome = simulation(nightly.to_deployment("hourly", cron="0 * * * *"), duration=timedelta(days=1), seed=3)
    assert 23 <= len(outcome.runs) <= 25
    assert {run.state.name for run in outcome.runs} == {"Completed"}
"""
