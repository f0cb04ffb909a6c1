"""An orchestrator on each kind of store, and short words for what is asked of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import trio
from attrs import define, evolve

from trioflow import clock
from trioflow.core.deployments import Deployment, DeploymentSchedule, PausedBy
from trioflow.core.leases import Owner
from trioflow.core.recorded import RecordedResult
from trioflow.core.runs import FlowRun
from trioflow.core.schedules import Schedule
from trioflow.core.states import Completed, Pending, Running, State
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.processes import this_process
from trioflow.store.sqlite import open_memory, open_sqlite
from trioflow.store.store import Store
from trioflow.wire import endpoints, requests
from trioflow.wire.filters import FlowRunFilter
from trioflow.wire.replies import FlowRunAnswer, ReadyRuns, TaskRunAnswer

DEAD = Owner(host=this_process().host, pid=2**22 - 1, started=1)
"""A process of this host that is known to have ended."""
ELSEWHERE = Owner(host="another host", pid=1, started=1)


MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


@define(eq=False)
class World(clock.RealWorld):
    """A wall clock that stands still until somebody sets it."""

    at: datetime = MIDNIGHT + timedelta(minutes=30)

    def now(self) -> datetime:
        return self.at

    def forward(self, **amount: float) -> None:
        """It is later now; with a negative amount, the clock was set back."""
        self.at += timedelta(**amount)


@define(eq=False)
class Desk:
    """Asks an orchestrator as an engine would."""

    orchestrator: Orchestrator

    async def ask(self, endpoint: endpoints.Endpoint[Any, Any], request: Any) -> Any:
        return await self.orchestrator.handle(endpoint, request)

    async def together(self, *asked: Any) -> list[Any]:
        """What is answered to requests that are judged in one batch."""
        store, judge = self.orchestrator.store, self.orchestrator._judge
        return list(await store.transact(lambda tx: judge(tx, asked)))

    async def create(self, owner: Owner | None = None, **fields: Any) -> FlowRunAnswer:
        id_ = clock.new_id()
        given = {
            "id": id_,
            "flow_name": "audit",
            "name": "brave-otter",
            "state": Pending(),
            "transition_id": id_,
        }
        return await self.ask(
            endpoints.CREATE_FLOW_RUN, requests.CreateFlowRun(**{**given, "owner": owner, **fields})
        )

    async def start(self, owner: Owner | None = None, **fields: Any) -> FlowRun:
        """A RUNNING flow run, owned by this process unless somebody else is named."""
        run = (await self.create(owner or this_process(), **fields)).run
        return (await self.propose(run.id, Running(), epoch=run.epoch)).run

    async def propose(self, run_id: UUID, state: State, **fields: Any) -> FlowRunAnswer:
        given = {"run_id": run_id, "state": state, "transition_id": clock.new_id(), **fields}
        return await self.ask(endpoints.PROPOSE_FLOW_RUN_STATE, requests.ProposeFlowRunState(**given))

    async def claim(self, run_id: UUID, owner: Owner | None = None, **fields: Any) -> FlowRunAnswer:
        given = {
            "run_id": run_id,
            "owner": owner or this_process(),
            "transition_id": clock.new_id(),
            **fields,
        }
        return await self.ask(endpoints.CLAIM_FLOW_RUN, requests.ClaimFlowRun(**given))

    def begin_request(self, run: FlowRun, call: int = 0, **fields: Any) -> requests.BeginTaskRun:
        given = {
            "id": clock.new_id(),
            "flow_run_id": run.id,
            "root_id": run.root_id,
            "task_key": "check",
            "dynamic_key": str(call),
            "name": f"check-{call}",
            "state": Running(),
            "transition_id": clock.new_id(),
            "epoch": run.epoch,
        }
        return requests.BeginTaskRun(**{**given, **fields})

    async def begin(self, run: FlowRun, call: int = 0, **fields: Any) -> TaskRunAnswer:
        return await self.ask(endpoints.BEGIN_TASK_RUN, self.begin_request(run, call, **fields))

    async def end(self, task: TaskRunAnswer, state: State | None = None, **fields: Any) -> TaskRunAnswer:
        data = RecordedResult(serializer="json", inline="1", size=1)
        given = {
            "run_id": task.run.id,
            "state": state or Completed(data=data),
            "transition_id": clock.new_id(),
        }
        return await self.ask(
            endpoints.PROPOSE_TASK_RUN_STATE, requests.ProposeTaskRunState(**{**given, **fields})
        )

    async def close(self, run: FlowRun, state: State, **fields: Any) -> FlowRunAnswer:
        given = {"run_id": run.id, "state": state, "transition_id": clock.new_id(), "epoch": run.epoch}
        return await self.ask(endpoints.CLOSE_FLOW_RUN, requests.CloseFlowRun(**{**given, **fields}))

    async def deploy(self, *schedules: Schedule | DeploymentSchedule, **fields: Any) -> Deployment:
        """A deployment called ``audit/main``, unless it is called otherwise, with these schedules."""
        given = {"id": clock.new_id(), "flow_name": "audit", "name": "main", "entrypoint": "flows.py:audit"}
        kept = tuple(
            each if isinstance(each, DeploymentSchedule) else DeploymentSchedule(schedule=each)
            for each in schedules
        )
        request = requests.ApplyDeployment(**{**given, "schedules": kept, **fields})
        return await self.ask(endpoints.APPLY_DEPLOYMENT, request)

    async def pause(self, deployment: Deployment, by: PausedBy = PausedBy.OPERATOR) -> Deployment:
        request = requests.PauseSchedules(deployment_id=deployment.id, by=by)
        return await self.ask(endpoints.PAUSE_SCHEDULES, request)

    async def resume(
        self, deployment: Deployment, by: PausedBy = PausedBy.OPERATOR, *, makes_up: bool = False
    ) -> Deployment:
        request = requests.ResumeSchedules(deployment_id=deployment.id, by=by, makes_up=makes_up)
        return await self.ask(endpoints.RESUME_SCHEDULES, request)

    async def delete(self, deployment: Deployment) -> None:
        await self.ask(endpoints.DELETE_DEPLOYMENT, requests.DeleteDeployment(deployment_id=deployment.id))

    async def run_deployment(self, deployment: Deployment, **fields: Any) -> FlowRunAnswer:
        given = {"id": clock.new_id(), "deployment_id": deployment.id, "name": "asked-for"}
        request = requests.CreateDeploymentRun(**{**given, "transition_id": clock.new_id(), **fields})
        return await self.ask(endpoints.CREATE_DEPLOYMENT_RUN, request)

    async def ready(self, *deployments: Deployment, within: float = 0, limit: int = 200) -> ReadyRuns:
        """What may be started within so many seconds."""
        request = requests.FindReadyRuns(
            deployment_ids=frozenset(deployment.id for deployment in deployments),
            before=clock.now() + timedelta(seconds=within),
            limit=limit,
        )
        return await self.ask(endpoints.FIND_READY_RUNS, request)

    async def runs(self, deployment: Deployment, **which: Any) -> list[FlowRun]:
        """A deployment's runs, in the order in which they were due."""
        request = requests.FindFlowRuns(filter=FlowRunFilter(deployment_id=deployment.id, **which))
        found = await self.ask(endpoints.FIND_FLOW_RUNS, request)
        return sorted(found.runs, key=lambda run: (run.times.expected_start, run.id))

    async def flow_run(self, run_id: UUID) -> FlowRun:
        return await self.ask(endpoints.READ_FLOW_RUN, requests.ReadFlowRun(run_id=run_id))

    async def names(self, run_id: UUID) -> list[str]:
        """The names of the states that the run was in."""
        history = await self.ask(endpoints.READ_HISTORY, requests.ReadHistory(run_id=run_id))
        return [state.name for state in history.states]

    async def limit(self, tag: str, limit: int | None) -> None:
        await self.ask(endpoints.SET_CONCURRENCY_LIMIT, requests.SetConcurrencyLimit(tag=tag, limit=limit))

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return await self.orchestrator.store.read(lambda tx: tx.execute(sql))


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    with clock.use(world):
        yield world


@pytest.fixture(params=["memory", "file"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = open_memory() if request.param == "memory" else await open_sqlite(tmp_path / "trioflow.db")
    yield store
    await store.aclose()


@pytest.fixture
async def desk(store: Store, nursery: trio.Nursery) -> Desk:
    orchestrator = Orchestrator(store)
    await orchestrator.open()
    nursery.start_soon(orchestrator.changes.pump)
    return Desk(orchestrator)


__all__ = ["DEAD", "ELSEWHERE", "MIDNIGHT", "Desk", "World", "evolve"]
