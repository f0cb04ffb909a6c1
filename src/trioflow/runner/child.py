"""What the process of a run may ask of its runner, and what the runner learns by listening.

Reads are free, and so is what names no run. A run is spoken of only by the process that runs its root; who owns it,
and when its lease ends, is the runner's to say. The rest goes to the runner's own client as it is, in the order in
which it came.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TypeVar, cast, final
from uuid import UUID

import trio
from attrs import define, evolve, field

from trioflow.client.client import Client
from trioflow.core.runs import FlowRun
from trioflow.core.states import State, StateType
from trioflow.core.verdicts import Abort, Accept
from trioflow.errors import ForeignRun, RunNotFound
from trioflow.runner.patience import asked_until_answered, until_answered
from trioflow.runner.speakers import Speakers
from trioflow.runner.witness import Witness
from trioflow.settings import Settings
from trioflow.wire.endpoints import READ_FLOW_RUN, READ_TASK_RUN, Endpoint
from trioflow.wire.filters import ChangeFilter
from trioflow.wire.replies import Changes, FlowRunAnswer, TaskRunAnswer
from trioflow.wire.requests import (
    AppendLogs,
    BeginTaskRun,
    ClaimFlowRun,
    CloseFlowRun,
    CreateFlowRun,
    EndLease,
    FindReadyRuns,
    PrepareFlowRun,
    ProposeFlowRunState,
    ProposeTaskRunState,
    ReadFlowRun,
    ReadHistory,
    ReadTaskRun,
    RenameRun,
    SettleHooks,
    TakeOwedHooks,
)

Request = TypeVar("Request")
Reply = TypeVar("Reply")

OVER_TIME_SECONDS = 0.3
"""How long an attempt whose time is over may take to say so itself."""
LEAVE_SECONDS = 10.0
"""How long a process whose run is over may be silent before it is ended; one that calls hooks may be for longer."""
HOOK_LATE_SECONDS = 1.0
"""How long after its deadline a hook's process may say that the hook has passed it."""

_ENDS_HERE = "The runner ends this run."
_LEAVES = frozenset({StateType.SUSPENDED, *(type_ for type_ in StateType if type_.is_final)})


@final
@define(eq=False)
class Tasks:
    """The task runs of one attempt, as their process tells of them."""

    open: set[UUID] = field(factory=set[UUID])
    """Those that have begun and not ended."""
    done: int = 0

    @property
    def begun(self) -> int:
        """How many have begun."""
        return self.done + len(self.open)

    def note(self, run_id: UUID, *, ended: bool) -> None:
        """This one has begun or, if ``ended``, has ended."""
        if not ended:
            self.open.add(run_id)
        else:
            self.open.discard(run_id)
            self.done += 1


@final
@define(eq=False)
class ChildClient:
    """The client that answers the process of one root run; see `trioflow.client.client.Client`."""

    _client: Client
    run: FlowRun
    """The root run, as far as its process has told."""
    _witness: Witness
    _settings: Settings
    calls_hooks: bool = False
    """It runs nothing: it is there for the hooks of a final state, and reads the run's history before each of them."""
    prepared: bool = field(default=False, init=False)
    """The flow is loaded: from now on the process heeds what comes over the link."""
    ending: State | None = field(default=None, init=False)
    """What the runner will close the run with: from now on the process may not say how it was ended."""
    over_time: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    """Its deadline is when the attempt has to be ended, because it takes too long."""
    leaving: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    """Its deadline is when a process has to be ended that does nothing for its run: any more, or yet."""
    timeout: float = field(default=math.inf, init=False)
    """Seconds that an attempt may take."""
    _hooked: frozenset[StateType] = field(init=False)
    _settled: bool = field(default=False, init=False)
    """The hooks of the final state have been called."""
    _flows: set[UUID] = field(init=False)
    """The root run and its subflows."""
    _tasks: Tasks = field(factory=Tasks, init=False)
    _speakers: Speakers = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._flows = {self.run.id}
        self._speakers = Speakers(self.run)
        self._note_options(self.run.timeout, self.run.hooked)

    def leave_within(self, seconds: float) -> None:
        """The process has nothing more to do for its run: it has this long to exit, or to say another word."""
        self.leaving.deadline = trio.current_time() + seconds

    # --- Client

    async def call(self, endpoint: Endpoint[Request, Reply], request: Request) -> Reply:
        """The reply to one request; an outage of the store is waited out.

        Raises:
            ForeignRun: the request speaks of a run that is none of this process's, or for the runner.
        """
        await self._check(request)
        if self._is_overruled(request):
            return cast("Reply", FlowRunAnswer(Abort(_ENDS_HERE, self.run.state), self.run))
        reply = await asked_until_answered(self._client, endpoint, request)
        self._hear(request, reply)
        return reply

    async def changes(self, after: int, which: ChangeFilter) -> Changes:
        """Waits until something that fits the filter has happened after number ``after``, and tells what.

        An outage of the store is waited out: who listens for the end of a run must not end it.
        """
        return await until_answered(partial(self._client.changes, after, which))

    async def now(self) -> int:
        """The number of the newest change."""
        return await self._client.now()

    # --- what it may ask

    async def _check(self, request: object) -> None:
        match request:
            case BeginTaskRun():
                is_own = request.owner is None and self.run.id in (request.root_id, request.flow_run_id)
            case ProposeTaskRunState(run_id=run_id):
                is_own = await self._is_task_run(run_id)
            case AppendLogs(records=records):
                spoken_of = {record.flow_run_id for record in records}
                is_own = all([await self._is_flow_run(run_id) for run_id in spoken_of])
            case CreateFlowRun():
                is_own = request.owner is None and request.root_id == self.run.id
            case (
                ProposeFlowRunState(run_id=run_id)
                | PrepareFlowRun(run_id=run_id)
                | SettleHooks(run_id=run_id)
            ):
                is_own = await self._is_flow_run(run_id)
            case RenameRun(run_id=run_id):
                is_own = await self._is_task_run(run_id) or await self._is_flow_run(run_id)
            case ClaimFlowRun() | CloseFlowRun() | EndLease() | FindReadyRuns() | TakeOwedHooks():
                raise ForeignRun(f"{type(request).__name__} is the runner's to ask, not a run's")
            case _:
                return
        if not is_own:
            raise ForeignRun(
                f"{type(request).__name__} of the process of flow run {self.run.id} speaks of another run"
            )

    async def _is_flow_run(self, run_id: UUID | None) -> bool:
        if run_id in self._flows or run_id is None:
            return run_id is not None
        try:
            found = await self._client.call(READ_FLOW_RUN, ReadFlowRun(run_id=run_id))
        except RunNotFound:
            return False
        if found.root_id == self.run.id:
            self._flows.add(run_id)
        return run_id in self._flows

    async def _is_task_run(self, run_id: UUID) -> bool:
        if run_id in self._tasks.open:
            return True
        try:
            found = await self._client.call(READ_TASK_RUN, ReadTaskRun(run_id=run_id))
        except RunNotFound:
            return False
        return found.root_id == self.run.id

    def _is_overruled(self, request: object) -> bool:
        """Whether it says that the root run was ended by what the runner does to its process."""
        match self.ending, request:
            case None, _:
                return False
            case State(), ProposeFlowRunState(run_id=self.run.id, state=State(type=StateType.CRASHED)):
                return True
            case State(type=type_), ProposeFlowRunState(
                run_id=self.run.id, state=State(type=StateType.CANCELLED)
            ):
                return type_ is not StateType.CANCELLED
            case _:
                return False

    # --- what is learnt

    def _hear(self, request: object, reply: object) -> None:
        if self.leaving.deadline < math.inf:
            self.leaving.deadline = max(self.leaving.deadline, trio.current_time() + self._silence())
        self._speakers.hear(request, reply)
        match request, reply:
            case BeginTaskRun(state=State(type=StateType.RUNNING)), TaskRunAnswer(run=run):
                self._note_task(run.id, run.state)
            case ProposeTaskRunState(), TaskRunAnswer(run=run) if run.id in self._tasks.open:
                self._note_task(run.id, run.state)
            case AppendLogs(records=records), _:
                self._witness.logs(self.run, self._speakers.said(records))
            case CreateFlowRun(id=id_), _:
                self._flows.add(id_)
            case ProposeFlowRunState(run_id=self.run.id), FlowRunAnswer(verdict=verdict, run=run):
                self._note_root(run, is_accepted=isinstance(verdict, Accept))
            case PrepareFlowRun(run_id=self.run.id, timeout=timeout, hooked=hooked), _:
                self.prepared = True
                self.leaving.deadline = math.inf
                self._note_options(timeout, hooked)
            case RenameRun(run_id=self.run.id, name=name), _:
                self.run = evolve(self.run, name=name)
            case ((ReadHistory(run_id=self.run.id) | SettleHooks(run_id=self.run.id)), _):
                self._note_hooks(is_settled=isinstance(request, SettleHooks))
            case _:
                pass

    def _note_options(self, timeout: float | None, hooked: frozenset[StateType]) -> None:
        self.timeout = math.inf if timeout is None else timeout
        self._hooked = hooked

    def _note_task(self, run_id: UUID, state: State | None) -> None:
        self._tasks.note(run_id, ended=state is not None and state.is_final)
        self._witness.tasks(self.run, self._tasks.done, self._tasks.begun)

    def _note_root(self, run: FlowRun, *, is_accepted: bool) -> None:
        self.run = run
        match run.state.type if run.state else None:
            case StateType.RUNNING if is_accepted:
                self._tasks = Tasks()
                self.over_time.deadline = trio.current_time() + self.timeout + OVER_TIME_SECONDS
            case StateType.SCHEDULED:
                self.over_time.deadline = math.inf
            case type_ if type_ in _LEAVES:
                self.over_time.deadline = math.inf
                self.leave_within(self._silence())
            case _:
                pass

    def _note_hooks(self, *, is_settled: bool) -> None:
        self._settled = self._settled or is_settled
        if is_settled:
            self.leave_within(LEAVE_SECONDS)
        elif self.calls_hooks:
            self.leave_within(self._settings.hook_seconds + HOOK_LATE_SECONDS)

    def _silence(self) -> float:
        """Seconds that a process whose run is over may say nothing: each hook that it calls is a word."""
        if self._settled or self.run.state is None or self.run.state.type not in self._hooked:
            return LEAVE_SECONDS
        return max(LEAVE_SECONDS, self._settings.hook_seconds + HOOK_LATE_SECONDS)
