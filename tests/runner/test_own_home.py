"""A runner that opens the home by itself, with real processes; and that nothing is left of it, or of its runs."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest
import trio

from tests.runner.house import audit, in_house
from trioflow import clock
from trioflow.client.link import ServedLink
from trioflow.core.states import StateType
from trioflow.deployments.deployment import FlowDeployment
from trioflow.runner.child import ChildClient
from trioflow.runner.hand import Hand
from trioflow.runner.runner import Runner
from trioflow.runner.supervise import Supervised
from trioflow.settings import Settings, use_settings
from trioflow.wire.endpoints import CREATE_DEPLOYMENT_RUN, FIND_FLOW_RUNS
from trioflow.wire.filters import ChangeFilter, FlowRunFilter
from trioflow.wire.requests import CreateDeploymentRun, FindFlowRuns

SECONDS = 60.0
FLOWS = """
import trio
from trioflow import flow

@flow
async def lingers(seconds: float = 0.0) -> str:
    await trio.sleep(seconds)
    return "done"
"""


@pytest.fixture
def home(tmp_path: Path):
    (tmp_path / "flows.py").write_text(FLOWS, encoding="utf-8")
    with use_settings(Settings(home=tmp_path / "home", grace_seconds=2)):
        yield tmp_path


def deployment(home: Path, name: str = "now") -> FlowDeployment:
    return FlowDeployment.from_entrypoint(f"{home / 'flows.py'}:lingers", name)


def descriptors() -> set[str]:
    """What this process has open."""
    return {str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


async def started_run(runner: Runner, deployment_id, **parameters):
    client = runner._opened.client
    request = CreateDeploymentRun(
        id=clock.new_id(),
        deployment_id=deployment_id,
        transition_id=clock.new_id(),
        name="asked-for",
        parameters=parameters,
    )
    return (await client.call(CREATE_DEPLOYMENT_RUN, request)).run


async def runs(runner: Runner):
    client = runner._opened.client
    return (await client.call(FIND_FLOW_RUNS, FindFlowRuns(filter=FlowRunFilter()))).runs


async def until(runner: Runner, state: StateType) -> None:
    """Returns when the one run is in such a state."""
    client = runner._opened.client
    while True:
        now = await client.now()
        (run,) = await runs(runner)
        if run.state.type is state:
            return
        await client.changes(now, ChangeFilter())


@pytest.mark.promise("P9")
async def test_a_runner_without_a_client_opens_the_home_serves_it_and_closes_it(home):
    runner = Runner("mine")
    with trio.fail_after(SECONDS):
        async with runner, trio.open_nursery() as nursery:
            id_ = await runner.add_deployment(deployment(home))
            await nursery.start(runner.start)
            await started_run(runner, id_)
            await until(runner, StateType.COMPLETED)
            runner.stop()


@pytest.mark.promise("P18")
async def test_nothing_is_left_of_a_runner_that_its_host_cancels(home):
    runner = Runner("mine")
    files, threads = descriptors(), threading.active_count()
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            await nursery.start(runner.start)
            id_ = await runner.add_deployment(deployment(home))
            await started_run(runner, id_, seconds=600)
            await until(runner, StateType.RUNNING)
            began = trio.current_time()
            nursery.cancel_scope.cancel()

    assert trio.current_time() - began <= 2 + 1
    assert {path for path in descriptors() - files if "home" in path} == set()
    assert threading.active_count() <= threads + 2  # Trio's cached ones
    assert processes(home) == []
    async with Runner("next") as runner:
        (run,) = await runs(runner)
    assert (run.state.name, run.state.message) == ("Cancelled", "Its runner was stopped.")


def processes(home: Path) -> list[Path]:
    """Those whose environment names the home."""
    return [path for path in Path("/proc").glob("[0-9]*") if str(home).encode() in environment(path)]


def environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def all_of_runs() -> list[object]:
    """What this process holds of runs, whoever made it: a test before may have left an error, and in it a link."""
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, (Hand, Supervised, ChildClient, ServedLink))]


async def test_a_runner_keeps_nothing_of_a_run_that_is_over(autojump_clock):
    others = all_of_runs()
    async with in_house() as house:
        runner = await house.serving()
        for _ in range(200):
            await house.run_of(audit())
        await house.wait_count("Completed", 200)
        await trio.sleep(1)

        assert all_of_runs() == others
        assert runner._opened.claims.in_hand == {}
