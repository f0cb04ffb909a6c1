"""A house for runners: a store in memory, Trio's virtual clock, and processes that are tasks."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import trio
import trio.testing
from attrs import frozen

from tests.runner.stage import GRACE, Child, Program, Stage, deaf, lasting, succeed
from trioflow import clock
from trioflow.client.client import Client
from trioflow.client.connect import serve_store
from trioflow.core.deployments import DeploymentSchedule
from trioflow.core.runs import FlowRun
from trioflow.core.states import Cancelling, Scheduled, State
from trioflow.deployments.deployment import FlowDeployment
from trioflow.infrastructure.infrastructure import (
    OutputLine,
)
from trioflow.runner.runner import Runner
from trioflow.settings import Settings, use_settings
from trioflow.store.sqlite import open_memory
from trioflow.wire import endpoints, requests
from trioflow.wire.filters import ChangeFilter, FlowRunFilter
from trioflow.wire.requests import LogRecord

START = datetime(2026, 1, 1, tzinfo=UTC)
HANGS_AFTER = 4_000.0
"""No test takes that long on the virtual clock."""


class World(clock.RealWorld):
    """The wall clock goes with Trio's; chance is always the same."""

    def now(self) -> datetime:
        return START + timedelta(seconds=trio.current_time())

    def draw(self) -> float:
        return 0.5


class Silent:
    """A witness that says nothing."""

    def started(self, run: FlowRun, pid: int) -> None: ...
    def logs(self, run: FlowRun, records: Sequence[LogRecord]) -> None: ...
    def output(self, run: FlowRun, lines: Sequence[OutputLine]) -> None: ...
    def tasks(self, run: FlowRun, done: int, of: int) -> None: ...
    def ended(self, run: FlowRun, state: State) -> None: ...


@frozen
class House:
    """A home with one stage, and what is said and asked in it."""

    client: Client
    stage: Stage
    nursery: trio.Nursery

    # --- runners

    def runner(self, **fields: Any) -> Runner:
        given = {
            "client": self.client,
            "infrastructure": self.stage,
            "witness": Silent(),
            "pause_on_shutdown": False,
            **fields,
        }
        return Runner(given.pop("name", "my-runner"), **given)

    async def serving(self, *deployments: FlowDeployment, **fields: Any) -> Runner:
        """A runner at work; it goes on until the test stops it, or is over."""
        runner = self.runner(**fields)
        for deployment in deployments or [audit()]:
            await runner.add_deployment(deployment)
        await self.nursery.start(runner.start)
        return runner

    # --- deployments and runs

    async def ask(self, endpoint: endpoints.Endpoint[Any, Any], request: Any) -> Any:
        return await self.client.call(endpoint, request)

    async def apply(self, deployment: FlowDeployment) -> UUID:
        known = await self.ask(endpoints.APPLY_DEPLOYMENT, deployment.request(clock.new_id()))
        return known.id

    async def run_of(self, deployment: FlowDeployment, at: float | None = None) -> FlowRun:
        """A new run of this deployment, due now or at ``at`` seconds."""
        request = requests.CreateDeploymentRun(
            id=clock.new_id(),
            deployment_id=await self.apply(deployment),
            transition_id=clock.new_id(),
            name=f"run at {at}",
            scheduled_time=None if at is None else START + timedelta(seconds=at),
        )
        return (await self.ask(endpoints.CREATE_DEPLOYMENT_RUN, request)).run

    async def run_of_nothing(self, **fields: Any) -> FlowRun:
        """A scheduled run without a deployment."""
        given = {
            "id": clock.new_id(),
            "flow_name": "audit",
            "name": "brave-otter",
            "state": Scheduled(clock.now()),
            "transition_id": clock.new_id(),
            "entrypoint": "flows.py:audit",
            **fields,
        }
        return (await self.ask(endpoints.CREATE_FLOW_RUN, requests.CreateFlowRun(**given))).run

    async def propose(self, run: FlowRun, state: State, **fields: Any) -> Any:
        request = requests.ProposeFlowRunState(
            run_id=run.id, state=state, transition_id=clock.new_id(), **fields
        )
        return await self.ask(endpoints.PROPOSE_FLOW_RUN_STATE, request)

    async def cancel(self, run: FlowRun) -> None:
        """As `trioflow flow-run cancel` does."""
        await self.propose(run, Cancelling(message="no need"))

    # --- what the store says

    async def read(self, run: FlowRun | UUID) -> FlowRun:
        run_id = run if isinstance(run, UUID) else run.id
        return await self.ask(endpoints.READ_FLOW_RUN, requests.ReadFlowRun(run_id=run_id))

    async def history(self, run: FlowRun) -> list[str]:
        found = await self.ask(endpoints.READ_HISTORY, requests.ReadHistory(run_id=run.id))
        return [state.name for state in found.states]

    async def states(self) -> Counter[str]:
        """How many flow runs are in states of each name, planned ones left out."""
        found, offset = Counter[str](), 0
        while True:
            which = FlowRunFilter(due_before=clock.now(), offset=offset)
            page = await self.ask(endpoints.FIND_FLOW_RUNS, requests.FindFlowRuns(filter=which))
            found.update(run.state.name for run in page.runs)
            offset += len(page.runs)
            if not page.runs:
                return found

    async def wait_state(self, run: FlowRun, *names: str) -> FlowRun:
        """Returns when the run is in a state of one of these names."""
        while True:
            now = await self.client.now()
            found = await self.read(run)
            if found.state is not None and found.state.name in names:
                return found
            await self.client.changes(now, ChangeFilter())

    async def wait_count(self, name: str, count: int) -> None:
        """Returns when so many flow runs are in a state of this name."""
        while True:
            now = await self.client.now()
            if await self._count(f"flow_runs WHERE state_name = '{name}'") >= count:
                return
            await self.client.changes(now, ChangeFilter(flow_runs_only=True))

    async def leases(self) -> int:
        """How many leases there are."""
        return await self._count("leases")

    async def _count(self, of: str) -> int:
        store = self.client.orchestrator.store
        ((count,),) = await store.read(lambda tx: list(tx.execute(f"SELECT count(*) FROM {of}")))
        return count


def audit(name: str = "hourly", **fields: Any) -> FlowDeployment:
    """A deployment."""
    given = {"flow_name": "audit", "name": name, "entrypoint": "flows.py:audit", **fields}
    given["schedules"] = tuple(
        DeploymentSchedule(schedule=schedule) if not isinstance(schedule, DeploymentSchedule) else schedule
        for schedule in given.get("schedules", ())
    )
    return FlowDeployment(**given)


@asynccontextmanager
async def in_house(program: Program = succeed, **settings: Any) -> AsyncIterator[House]:
    """A house, until the block is over; then everything in it is cancelled."""
    given = Settings(home=Path("/nowhere"), grace_seconds=GRACE, **settings)
    with clock.use(World()), use_settings(given), trio.fail_after(HANGS_AFTER):
        async with trio.open_nursery() as ground:
            client = await ground.start(serve_store, open_memory())
            async with trio.open_nursery() as nursery:
                yield House(client, Stage(program), nursery)
                nursery.cancel_scope.cancel()
            ground.cancel_scope.cancel()


def virtually(test: Callable[[], Awaitable[None]], *, seconds: float = math.inf) -> None:
    """Run an async function on a virtual clock, for that long at most, and log nothing: Hypothesis runs it often."""

    async def timed() -> None:
        with trio.fail_after(seconds):
            await test()

    logging.disable(logging.CRITICAL)
    try:
        trio.run(timed, clock=trio.testing.MockClock(autojump_threshold=0))
    finally:
        logging.disable(logging.NOTSET)


__all__ = [
    "GRACE",
    "START",
    "Child",
    "House",
    "audit",
    "deaf",
    "in_house",
    "lasting",
    "succeed",
    "virtually",
]
