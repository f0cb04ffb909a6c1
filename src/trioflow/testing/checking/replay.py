"""Asks a real orchestrator, on a real store, what was asked in a world, and compares the answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, final
from uuid import UUID

import trio
from attrs import define, evolve, field

from trioflow import clock
from trioflow.core.leases import Owner, lease_end
from trioflow.core.runs import FlowRun, Run, TaskRun
from trioflow.core.states import Running, State
from trioflow.core.verdicts import Verdict, Wait
from trioflow.errors import RunNotFound
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.store import rows
from trioflow.store.sqlite import open_memory
from trioflow.store.store import Tx
from trioflow.testing.checking.birth import FLOW_ID, MIRROR_ID, ROOT_ID, Role
from trioflow.testing.checking.properties import Broken, Property
from trioflow.testing.checking.telling import spoken
from trioflow.testing.checking.world import Asked, Call, World
from trioflow.wire import endpoints, requests

_OWNER = Owner(host="a simulated host", pid=1, started=1)
"""On another host: nobody can tell that it has ended."""

_FIRST_DRAWN = 1 << 64


@final
@define(eq=False)
class _Clock:
    """The world's time; ids that nobody else has; no chance."""

    at: datetime
    _ids: int = field(default=0)

    def now(self) -> datetime:
        """See `clock.World`."""
        return self.at

    def new_id(self) -> UUID:
        """See `clock.World`."""
        self._ids += 1
        return UUID(int=_FIRST_DRAWN + self._ids)

    def draw(self) -> float:
        """See `clock.World`."""
        return 0.5


def compare_with_store(world: World) -> None:
    """Ask an orchestrator on a store in memory what the world was asked; it must answer as the tables did.

    Raises:
        Broken: it answers otherwise, or has written something else.
    """
    trio.run(_compare, world)


async def _compare(world: World) -> None:
    store = open_memory()
    time = _Clock(world.birth.start)
    with clock.use(time):
        other = _Other(world, Orchestrator(store, world.flow_table, world.task_table), time)
        try:
            await other.begin()
            for call, asked in world.calls:
                await other.ask(call, asked)
            await other.compare_slots()
        finally:
            with trio.CancelScope(shield=True):
                await store.aclose()


@final
@define(eq=False)
class _Other:
    """The real thing, asked what the world was asked."""

    world: World
    orchestrator: Orchestrator
    time: _Clock

    async def begin(self) -> None:
        """Make the limits, and what is around a subflow."""
        for tag, limit in self.world.birth.limits.items():
            await self._handle(
                endpoints.SET_CONCURRENCY_LIMIT, requests.SetConcurrencyLimit(tag=tag, limit=limit)
            )
        if self.world.birth.role is Role.SUBFLOW:
            for endpoint, request in _surroundings():
                await self._handle(endpoint, request)

    async def ask(self, call: Call, asked: Asked) -> None:
        """Ask this too."""
        if self.time.at < asked.proposal.now:
            self.time.at = asked.proposal.now
            await self.orchestrator.store.transact(self._renew)
        endpoint, request = _request(call, asked)
        try:
            answer = await self._handle(endpoint, request)
        except RunNotFound:
            self._compare(asked, None, None)
        except Exception as error:
            raise self._broken(asked, f"it raised {type(error).__name__}: {error}") from error
        else:
            if call is not Call.END_LEASE:
                self._compare(asked, answer.verdict, answer.run)

    async def compare_slots(self) -> None:
        """At the end, the same slots are taken, and the history has a line for each version."""
        taken = await self.orchestrator.store.read(
            lambda tx: tx.execute("SELECT tag, task_run_id FROM slots")
        )
        held = {(tag, holder) for tag, holders in self.world.holders.items() for holder in holders}
        if {(tag, UUID(bytes=holder)) for tag, holder in taken} != held:
            told = f"{len(taken)} slots are taken in the store, and {len(held)} by the table"
            raise self._broken(self.world.steps[-1], told)

    async def _handle(self, endpoint: endpoints.Endpoint[Any, Any], request: Any) -> Any:
        return await self.orchestrator.handle(endpoint, request)

    def _renew(self, tx: Tx) -> None:
        """Owners live, in the world."""
        tx.execute("UPDATE leases SET expires = ?", (rows.instant_text(lease_end(self.time.at)),))

    def _compare(self, asked: Asked, verdict: Verdict | None, run: Run | None) -> None:
        if asked.run.state is None and (run is None or run.state is None):
            return
        if not _is_alike(verdict, asked.verdict):
            said = "there is no such run" if verdict is None else spoken(verdict)
            raise self._broken(asked, f"the table says {_said(asked)}, and the orchestrator {said}")
        if run is None or _plain(run) != _plain(asked.run):
            raise self._broken(asked, f"both say {_said(asked)}, and the store holds another run: {run}")

    def _broken(self, asked: Asked, told: str) -> Broken:
        steps = self.world.steps
        broken = Broken(Property.STORED, told)
        broken.steps = steps[: steps.index(asked) + 1] if asked in steps else steps
        return broken


def _said(asked: Asked) -> str:
    return spoken(asked.verdict) if asked.verdict else "nothing"


def _is_alike(answered: Verdict | None, said: Verdict | None) -> bool:
    """Whether both are the same, but for the id of a state that the orchestrator drew: a rerun is SCHEDULED unasked."""
    if not isinstance(answered, Wait | None) and not isinstance(said, Wait | None):
        here, there = answered.state, said.state
        if here and there and _is_drawn(here):
            said = evolve(said, state=evolve(there, id=here.id))
    return answered == said


def _is_drawn(state: State) -> bool:
    return state.id is not None and state.id.int > _FIRST_DRAWN


def _plain(run: Run) -> Run:
    """Without what the orchestrator draws by itself; transition ids are compared with the verdicts."""
    state = evolve(run.state, id=None) if run.state else None
    match run:
        case FlowRun():
            return evolve(run, created=None, state=state, flow_id=FLOW_ID)
        case TaskRun():
            return evolve(run, created=None, state=state)


def _request(call: Call, asked: Asked) -> tuple[endpoints.Endpoint[Any, Any], Any]:
    """The request that a client sends for it."""
    proposal, run = asked.proposal, asked.proposal.run
    common: dict[str, Any] = {"transition_id": proposal.transition_id}
    match call, run:
        case Call.CREATE, FlowRun():
            return endpoints.CREATE_FLOW_RUN, _creation(asked, run)
        case Call.CLAIM | Call.RERUN, _:
            claim = requests.ClaimFlowRun(run_id=run.id, owner=_OWNER, rerun=call is Call.RERUN, **common)
            return endpoints.CLAIM_FLOW_RUN, claim
        case Call.END_LEASE, _ if isinstance(asked.run, FlowRun):
            return endpoints.END_LEASE, requests.EndLease(run_id=asked.run.id, epoch=asked.run.epoch)
        case Call.BEGIN, TaskRun():
            return endpoints.BEGIN_TASK_RUN, _beginning(asked, run)
        case _:
            pass
    common |= {"run_id": run.id, "state": proposal.state, "epoch": proposal.epoch}
    common |= {"force": proposal.force, "draw": proposal.draw}
    if isinstance(run, TaskRun):
        return endpoints.PROPOSE_TASK_RUN_STATE, requests.ProposeTaskRunState(**common)
    return endpoints.PROPOSE_FLOW_RUN_STATE, requests.ProposeFlowRunState(rerun=proposal.rerun, **common)


def _creation(asked: Asked, run: FlowRun) -> requests.CreateFlowRun:
    return requests.CreateFlowRun(
        id=run.id,
        flow_name="audit",
        name=run.name,
        state=asked.proposal.state,
        transition_id=asked.proposal.transition_id,
        parameters=run.parameters,
        tags=run.tags,
        retry=run.retry,
        entrypoint=run.entrypoint,
        owner=_OWNER if asked.proposal.new_owner else None,
        parent_task_run_id=run.parent_task_run_id,
        root_id=run.root_id,
        deployment_id=run.deployment_id,
        epoch=asked.proposal.epoch,
    )


def _beginning(asked: Asked, run: TaskRun) -> requests.BeginTaskRun:
    return requests.BeginTaskRun(
        id=run.id,
        task_key=run.task_key,
        dynamic_key=run.dynamic_key,
        name=run.name,
        state=asked.proposal.state,
        transition_id=asked.proposal.transition_id,
        flow_run_id=run.flow_run_id,
        root_id=run.root_id,
        retry=run.retry,
        tags=run.tags,
        epoch=asked.proposal.epoch,
        owner=_OWNER if run.root_id == run.id else None,
    )


def _surroundings() -> list[tuple[endpoints.Endpoint[Any, Any], Any]]:
    """The flow run that a subflow is called in, and the task run that stands for it there."""
    root = requests.CreateFlowRun(
        id=ROOT_ID, flow_name="parent", name="parent", state=Running(), transition_id=ROOT_ID, owner=_OWNER
    )
    mirror = requests.BeginTaskRun(
        id=MIRROR_ID,
        task_key="parent.audit",
        dynamic_key="0",
        name="audit-0",
        state=Running(),
        transition_id=UUID(int=_FIRST_DRAWN),
        flow_run_id=ROOT_ID,
        root_id=ROOT_ID,
        epoch=1,
    )
    return [(endpoints.CREATE_FLOW_RUN, root), (endpoints.BEGIN_TASK_RUN, mirror)]
