"""A scheduler on a store in memory, and a wall clock that goes with Trio's until somebody sets it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import trio
from attrs import define, field

from trioflow import clock
from trioflow.core.deployments import Deployment, DeploymentSchedule
from trioflow.core.runs import FlowRun
from trioflow.core.schedules import Schedule
from trioflow.core.schedules.window import CatchUp
from trioflow.core.states import Completed, Running
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.processes import this_process
from trioflow.scheduler import run_scheduler
from trioflow.store.sqlite import open_memory
from trioflow.wire import endpoints, requests
from trioflow.wire.filters import FlowRunFilter

START = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)


@define(eq=False)
class World(clock.RealWorld):
    """The wall clock; `set_to` moves it, and Trio's stands still meanwhile, as in a suspended machine."""

    ahead: timedelta = timedelta()
    begin: datetime = field(default=START)

    def now(self) -> datetime:
        return self.begin + timedelta(seconds=trio.current_time()) + self.ahead

    def step(self, **amount: float) -> None:
        """It is later by the wall clock, and no later by Trio's; or earlier."""
        self.ahead += timedelta(**amount)


@define(eq=False)
class Home:
    """What is asked of the orchestrator."""

    orchestrator: Orchestrator

    async def deploy(
        self, *schedules: Schedule, catch_up: CatchUp | None = None, name: str = "main", **fields: Any
    ) -> Deployment:
        policy = {} if catch_up is None else {"catch_up": catch_up}
        request = requests.ApplyDeployment(
            id=clock.new_id(),
            flow_name="audit",
            name=name,
            entrypoint="flows.py:audit",
            schedules=tuple(DeploymentSchedule(schedule=each, **policy) for each in schedules),
            **fields,
        )
        return await self.orchestrator.handle(endpoints.APPLY_DEPLOYMENT, request)

    async def runs(self) -> list[FlowRun]:
        """All runs, in the order in which they were due."""
        found: list[FlowRun] = []
        while len(found) % 200 == 0:
            which = FlowRunFilter(offset=len(found))
            page = await self.orchestrator.handle(
                endpoints.FIND_FLOW_RUNS, requests.FindFlowRuns(filter=which)
            )
            found += page.runs
            if not page.runs:
                break
        return sorted(found, key=lambda run: (run.times.expected_start, run.id))

    async def due(self) -> list[datetime]:
        """When the runs that are still to be started are due."""
        return [run.times.expected_start for run in await self.runs() if not run.state.is_final]

    async def names(self, run: FlowRun) -> list[str]:
        """The states that the run was in."""
        history = await self.orchestrator.handle(endpoints.READ_HISTORY, requests.ReadHistory(run_id=run.id))
        return [state.name for state in history.states]

    async def run_what_is_ready(self, deployment: Deployment) -> list[datetime]:
        """Run what is due, in no time; tells when that was due."""
        ids = frozenset({deployment.id})
        ask = requests.FindReadyRuns(deployment_ids=ids, before=clock.now())
        found = (await self.orchestrator.handle(endpoints.FIND_READY_RUNS, ask)).runs
        for run in found:
            claim = requests.ClaimFlowRun(run_id=run.id, owner=this_process(), transition_id=clock.new_id())
            epoch = (await self.orchestrator.handle(endpoints.CLAIM_FLOW_RUN, claim)).run.epoch
            for state in (Running(), Completed()):
                propose = requests.ProposeFlowRunState(
                    run_id=run.id, state=state, transition_id=clock.new_id(), epoch=epoch
                )
                await self.orchestrator.handle(endpoints.PROPOSE_FLOW_RUN_STATE, propose)
        return [run.times.expected_start for run in found]


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    with clock.use(world):
        yield world


@pytest.fixture
async def unscheduled(world: World, nursery: trio.Nursery) -> Home:
    """A home that nobody schedules."""
    orchestrator = Orchestrator(open_memory())
    await orchestrator.open()
    nursery.start_soon(orchestrator.changes.pump)
    return Home(orchestrator)


@pytest.fixture
async def home(unscheduled: Home, nursery: trio.Nursery) -> Home:
    """A home with its scheduler."""
    await nursery.start(partial(run_scheduler, unscheduled.orchestrator))
    return unscheduled
