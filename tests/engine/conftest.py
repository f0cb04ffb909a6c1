"""Flows run on a store in memory, on Trio's clock; and short words for what the store says of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import trio
from attrs import define, frozen

from tests.engine.children import Runner
from trioflow import clock
from trioflow.client.client import Client
from trioflow.client.connect import serve_store, use_client
from trioflow.core.runs import FlowRun, TaskRun
from trioflow.core.states import State, StateType
from trioflow.settings import Settings, use_settings
from trioflow.store.sqlite import open_memory
from trioflow.wire import endpoints, requests
from trioflow.wire.filters import FlowRunFilter, LogFilter, TaskRunFilter

START = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualWorld(clock.RealWorld):
    """The wall clock goes with Trio's, in threads too; a test that sleeps asks for `autojump_clock` besides."""

    def now(self) -> datetime:
        if trio.lowlevel.in_trio_run():
            self.clock = trio.lowlevel.current_clock()
        return START + timedelta(seconds=self.clock.current_time())


@frozen
class Books:
    """What the store says."""

    client: Client

    async def flow_runs(self) -> list[FlowRun]:
        """Oldest first."""
        found = await self.client.call(
            endpoints.FIND_FLOW_RUNS, requests.FindFlowRuns(filter=FlowRunFilter())
        )
        return list(reversed(found.runs))

    async def flow_run(self) -> FlowRun:
        """The root run, of which there is one."""
        (run,) = [run for run in await self.flow_runs() if run.parent_task_run_id is None]
        return run

    async def task_runs(self) -> dict[str, TaskRun]:
        """By name."""
        found = await self.client.call(
            endpoints.FIND_TASK_RUNS, requests.FindTaskRuns(filter=TaskRunFilter())
        )
        return {run.name: run for run in found.runs}

    async def task_states(self) -> dict[str, str]:
        """The states of all task runs, as text, by name."""
        return {name: str(run.state) for name, run in (await self.task_runs()).items()}

    async def history(self, run_id: UUID) -> list[str]:
        """The names of every state that the run was in."""
        found = await self.client.call(endpoints.READ_HISTORY, requests.ReadHistory(run_id=run_id))
        return [state.name for state in found.states]

    async def said(self) -> list[str]:
        """Every message that was stored."""
        found = await self.client.call(endpoints.FIND_LOGS, requests.FindLogs(filter=LogFilter()))
        return [record.message for record in found.records]

    async def propose(self, run: FlowRun, state: State, **fields: Any) -> Any:
        """Ask for a state as an operator does."""
        request = requests.ProposeFlowRunState(
            run_id=run.id, state=state, transition_id=clock.new_id(), **fields
        )
        return await self.client.call(endpoints.PROPOSE_FLOW_RUN_STATE, request)


@define
class CountingClient:
    """A client that counts what it is asked."""

    inner: Client
    asked: list[str]

    async def call(self, endpoint, request):
        self.asked.append(endpoint.name)
        return await self.inner.call(endpoint, request)

    async def changes(self, after, which):
        return await self.inner.changes(after, which)

    async def now(self):
        return await self.inner.now()


@pytest.fixture
def virtual_world():
    with clock.use(VirtualWorld()):
        yield


@pytest.fixture
def home(tmp_path):
    with use_settings(Settings(home=tmp_path, grace_seconds=5)):
        yield tmp_path


@pytest.fixture
async def client(nursery, virtual_world, home):
    local = await nursery.start(serve_store, open_memory())
    counting = CountingClient(local, [])
    use_client(counting)
    return counting


@pytest.fixture
def books(client):
    return Books(client)


def types(runs):
    """The state types of runs, by name."""
    return {run.name: run.state.type for run in runs}


COMPLETED, FAILED, CRASHED, CANCELLED = (
    StateType.COMPLETED,
    StateType.FAILED,
    StateType.CRASHED,
    StateType.CANCELLED,
)


@pytest.fixture
async def runner(nursery, tmp_path):
    """Starts real processes, which know no other clock than the real one."""
    client = await nursery.start(serve_store, open_memory())
    yield Runner(books=Books(client), nursery=nursery, path=tmp_path)
    nursery.cancel_scope.cancel()
