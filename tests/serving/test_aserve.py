"""Served as a child of somebody's nursery: it starts, it runs what is asked for, and nothing is left of it."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
import trio
from attrs import evolve, frozen

import trioflow
from trioflow import FlowDeployment, clock, run_deployment
from trioflow.client.connect import current_client
from trioflow.core.states import State, StateType
from trioflow.engine.loading import block_code_execution
from trioflow.errors import InvalidSetting, WrongColour
from trioflow.serving import Serving
from trioflow.settings import current_settings, use_settings
from trioflow.wire.endpoints import CREATE_DEPLOYMENT_RUN, READ_FLOW_RUN
from trioflow.wire.filters import ChangeFilter
from trioflow.wire.requests import CreateDeploymentRun, ReadFlowRun

FLOWS = """
import os
import subprocess
import sys
from pathlib import Path

import trio

from trioflow import flow


@flow
async def add(a: int, b: int) -> int:
    return a + b


@flow
async def stay(note: str) -> None:
    children = [subprocess.Popen(["sleep", "999"], start_new_session=True) for _ in range(2)]
    Path(note).write_text(" ".join(str(pid) for pid in [os.getpid(), *(child.pid for child in children)]))
    await trio.sleep_forever()
"""


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    path = tmp_path / "flows.py"
    path.write_text(FLOWS)
    return path


@pytest.fixture
def settings(tmp_path: Path):
    with use_settings(evolve(current_settings(), home=tmp_path / "home", grace_seconds=1.0)) as settings:
        yield settings


@frozen
class Counts:
    """What this process holds on to; of threads, those that are not Trio's own idle ones."""

    tasks: int
    threads: frozenset[str]
    sockets: frozenset[str]
    children: tuple[str, ...]

    @classmethod
    def now(cls) -> Counts:
        names = (thread.name for thread in threading.enumerate())
        links = (read_link(path) for path in Path("/proc/self/fd").iterdir())
        return cls(
            tasks=trio.lowlevel.current_statistics().tasks_living,
            threads=frozenset(name for name in names if not name.startswith("Trio thread")),
            sockets=frozenset(link for link in links if link.startswith("socket:")),
            children=tuple(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()),
        )


def read_link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def living(pids: list[str]) -> list[str]:
    return [pid for pid in pids if Path("/proc", pid).exists()]


async def test_it_runs_what_is_asked_for_and_says_what_it_serves(flows, settings):
    deployment = FlowDeployment.from_entrypoint(f"{flows}:add", "sums")
    async with trio.open_nursery() as nursery:
        serving = await nursery.start(partial(trioflow.aserve, deployment, name="here"))
        assert serving.runner.name == "here"
        assert serving.url is None
        run = await run_deployment("add/sums", {"a": 1, "b": 2})
        assert run.state is not None
        assert run.state.type is StateType.COMPLETED
        assert run.deployment_id == serving.deployment_ids[0]
        nursery.cancel_scope.cancel()


async def asked(serving: Serving, **parameters: object) -> UUID:
    """A run of the one deployment that is served."""
    request = CreateDeploymentRun(
        id=clock.new_id(),
        deployment_id=serving.deployment_ids[0],
        transition_id=clock.new_id(),
        name="asked",
        parameters=parameters,
    )
    return (await serving.client.call(CREATE_DEPLOYMENT_RUN, request)).run.id


async def ended(serving: Serving, run_id: UUID) -> State:
    after = 0
    while True:
        run = await serving.client.call(READ_FLOW_RUN, ReadFlowRun(run_id=run_id))
        assert run.state is not None
        if run.state.is_final:
            return run.state
        after = (await serving.client.changes(after, ChangeFilter(root_ids=frozenset({run_id})))).last


@pytest.mark.promise("P18", "P6")
async def test_cancelled_it_leaves_nothing_behind_within_the_grace_and_a_second(flows, settings, tmp_path):
    deployment = FlowDeployment.from_entrypoint(f"{flows}:stay", "here")
    note = tmp_path / "note"
    os.mkfifo(note)
    await trio.to_thread.run_sync(lambda: None)
    before = Counts.now()
    async with trio.open_nursery() as nursery:
        serving = await nursery.start(trioflow.aserve, deployment)
        run_id = await asked(serving, note=str(note))
        pids = (await trio.to_thread.run_sync(note.read_text)).split()
        assert living(pids) == pids
        nursery.cancel_scope.cancel()
        cancelled = trio.current_time()
    assert trio.current_time() - cancelled < settings.grace_seconds + 1
    assert living(pids) == []
    assert Counts.now() == before
    found = await find(run_id)
    assert found.type is StateType.CANCELLED


async def find(run_id: UUID) -> State:
    client = await current_client()
    run = await client.call(READ_FLOW_RUN, ReadFlowRun(run_id=run_id))
    assert run.state is not None
    return run.state


@pytest.mark.promise("P18")
async def test_two_instances_live_in_one_process_and_each_runs_its_own(flows, settings):
    sums = [FlowDeployment.from_entrypoint(f"{flows}:add", name) for name in ("first", "second")]
    before = Counts.now()
    async with trio.open_nursery() as nursery:
        servings = [await nursery.start(trioflow.aserve, deployment) for deployment in sums]
        runs = [await asked(serving, a=number, b=1) for number, serving in enumerate(servings)]
        states = [await ended(servings[0], run) for run in runs]
        assert [state.type for state in states] == [StateType.COMPLETED] * 2
        nursery.cancel_scope.cancel()
    assert Counts.now() == before


async def test_what_cannot_be_is_refused_before_anything_is_served(flows, settings):
    deployment = FlowDeployment.from_entrypoint(f"{flows}:add", "sums")
    with pytest.raises(InvalidSetting, match="a runner's limit must be at least 1, not 0"):
        await trioflow.aserve(deployment, limit=0)
    with pytest.raises(InvalidSetting, match="Runner name cannot contain '/' or '%'"):
        await trioflow.aserve(deployment, name="50%")


@pytest.mark.behaviour("RN-01")
async def test_serve_is_for_scripts_and_names_its_twin_in_a_trio_program(flows, settings):
    with pytest.raises(WrongColour, match=r"await nursery.start\(trioflow.aserve, ...\)"):
        trioflow.serve()


def test_while_a_file_is_loaded_serve_only_warns(flows, settings):
    with block_code_execution(), pytest.warns(UserWarning, match="nothing will be served"):
        trioflow.serve()
    assert not settings.database_path.exists()
