"""A trial: one run of a scenario in a world of its own, with one thing done to it at one point.

The scenario runs in a nursery, on a store in memory, under virtual time. Beside it there are the process that it
speaks through and a watch over its time; after it, what it left behind is looked at. Nothing is judged here.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from enum import Enum
from typing import Any, TypeAlias, cast, final
from uuid import UUID

import trio
import trio.testing
from attrs import define, field, frozen

from trioflow import clock
from trioflow.client.client import Client
from trioflow.client.connect import current_client, use_client
from trioflow.core.states import Cancelling, StateType
from trioflow.engine.drive import in_hand
from trioflow.engine.flow_runs import FlowRunDrive
from trioflow.engine.flows import Flow
from trioflow.store.sqlite import open_memory
from trioflow.store.store import Store, Tx
from trioflow.testing.everywhere.audit import audit_at_rest, audit_slots
from trioflow.testing.everywhere.hearing import Hearing
from trioflow.testing.everywhere.points import (
    NOWHERE,
    Point,
    Site,
    StepCounter,
    running_frames,
    site_of,
    waiting_frames,
)
from trioflow.testing.everywhere.process import Killed, Process, run_process
from trioflow.testing.everywhere.recovery import Ends, ends_of, recover
from trioflow.testing.faults.store import SOUND, FaultyStore, Kind, StoreFault, fail_call
from trioflow.testing.simulation.realities import Realities
from trioflow.wire.endpoints import FIND_FLOW_RUNS, PROPOSE_FLOW_RUN_STATE
from trioflow.wire.filters import FlowRunFilter
from trioflow.wire.requests import FindFlowRuns, ProposeFlowRunState

Scenario: TypeAlias = Callable[[Client], Awaitable[object]]
"""Runs flows, and may ask the client for more. It is called once for each point, and does the same each time."""

LONGEST_SECONDS = 30 * 86_400.0
"""Virtual seconds that a scenario may take."""
MOST_STEPS = 10_000


class Deed(Enum):
    """What is done to a scenario."""

    NOTHING = "run"
    CANCEL = "cancelled"
    REQUEST = "asked to cancel"
    KILL = "killed"
    FAIL = "denied the store"


class Abandoned(BaseException):
    """The scenario goes on for ever, and heeds no cancellation."""


@final
@frozen(kw_only=True)
class Outcome:
    """What came of a trial."""

    steps: int
    """Of the scenario, to its end."""
    calls: int
    """Of the store, while the scenario ran."""
    sites: tuple[Site, ...]
    """Where each step, or each call, was; only if nothing was done."""
    where: Site
    """Where something was done."""
    acted: bool
    asked: frozenset[UUID]
    """The runs that were asked to cancel, and then were CANCELLING."""
    raised: tuple[BaseException, ...]
    """What the scenario raised, cancellations and deaths aside."""
    returned: bool
    """Whether the scenario came to its own end."""
    seconds: float
    """Virtual, from when it was cancelled, or a run of it was, to its end."""
    ends: Ends
    """How every run has ended."""
    wrong: tuple[str, ...]
    """What is wrong with what it left behind, in sentences."""


@final
@define(eq=False)
class Trial:
    """One trial; `main` is given to ``trio.run``, once."""

    scenario: Scenario
    deed: Deed
    point: Point | None
    expected: Ends
    """How runs end when nothing is done."""
    realities: Realities
    endless: str | None = field(default=None, init=False)
    """Where the scenario was when its time, or its steps, were over."""
    is_hopeless: bool = field(default=False, init=False)
    """Cancelled, it goes on all the same."""
    is_beyond_hope: bool = field(default=False, init=False)
    """Nothing that is thrown into it ends it."""
    _steps: StepCounter = field(init=False)
    _process: Process = field(init=False)
    _scope: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    _asked: trio.Event = field(factory=trio.Event, init=False)
    _flows: dict[str, Flow[..., Any]] = field(factory=dict[str, Flow[..., Any]], init=False)
    """Each flow that was driven, by name."""
    _sites: list[Site] = field(factory=list[Site], init=False)
    _calls: int = field(default=0, init=False)
    _where: Site = field(default=NOWHERE, init=False)
    _has_acted: bool = field(default=False, init=False)
    _cancelling: set[UUID] = field(factory=set[UUID], init=False)
    """Those that were asked to cancel, and are to be."""
    _ending_since: float | None = field(default=None, init=False)
    """When it was cancelled, or a run of it was."""
    _in_passing: dict[str, None] = field(factory=dict[str, None], init=False)
    """What was wrong in a transaction, though perhaps not in the last one."""
    _raised: tuple[BaseException, ...] = field(default=(), init=False)
    _returned: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        point = None if self.deed is Deed.FAIL else self.point
        self._steps = StepCounter(point, self._act, self._begins, self._ended)

    async def main(self) -> Outcome:
        """Run the scenario, do the deed, and look at what is left."""
        store = open_memory()
        async with trio.open_nursery() as services:
            self._process = await services.start(run_process, FaultyStore(store, self._planned), self._look)
            hearing = Hearing(self._process.client)
            use_client(hearing)
            services.start_soon(self._watch)
            services.start_soon(self._operate)
            await trio.testing.wait_all_tasks_blocked()
            before = set(_tasks())
            self.realities.begin(self._scope.cancel)
            with hearing:
                await self._play()
            seconds = trio.current_time() - self._ending_since if self._ending_since is not None else 0.0
            left = [f"task {task.name} is left" for task in _tasks() if task not in before]
            wrong = [*left, *await self._looked_at(services, store, hearing)]
            ends = await store.read(ends_of)
            services.cancel_scope.cancel()
        await store.aclose()
        return Outcome(
            steps=self._steps.steps,
            calls=self._calls,
            sites=tuple(self._sites),
            where=self._where,
            acted=self._has_acted,
            asked=frozenset(self._cancelling),
            raised=self._raised,
            returned=self._returned,
            seconds=seconds,
            ends=ends,
            wrong=tuple(wrong),
        )

    async def _looked_at(self, services: trio.Nursery, store: Store, hearing: Hearing) -> list[str]:
        wrong = [*self._in_passing, *await hearing.undone(store)]
        match self.deed:
            case Deed.KILL if self._has_acted:
                wrong += await recover(services, store, self._flows, self.expected)
            case Deed.FAIL:
                pass
            case _:
                wrong += await hearing.unheard(store)
        return [*wrong, *await store.read(audit_at_rest)]

    # --- the scenario

    async def _play(self) -> None:
        trio.lowlevel.add_instrument(self._steps)
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._root)
                    (self._steps.root,) = nursery.child_tasks
        except BaseException as error:
            self._raised = tuple(_told(error))
            if any(isinstance(one, KeyboardInterrupt) for one in self._raised):
                raise
        finally:
            trio.lowlevel.remove_instrument(self._steps)

    async def _root(self) -> None:
        await self.scenario(await current_client())
        self._returned = True

    def _ended(self, task: trio.lowlevel.Task) -> None:
        for driven in in_hand():
            if isinstance(driven, FlowRunDrive):
                self._flows[driven.flow.name] = driven.flow
        if self.deed is Deed.NOTHING:
            self._sites.append(site_of(waiting_frames(task.coro)))
        if self._steps.steps % MOST_STEPS == 0:
            self._give_up(f"after {MOST_STEPS} steps")

    def _begins(self, task: trio.lowlevel.Task) -> None:
        if self.is_hopeless:
            # A cancellation is not heeded; what is thrown in its place is none of the exceptions that code expects.
            private: Any = task
            private._next_send_fn, private._next_send = task.coro.throw, Abandoned()  # noqa: SLF001 - Trio offers none

    # --- the deed

    def _act(self, where: Site) -> None:
        self._where, self._has_acted = where, True
        match self.deed:
            case Deed.CANCEL:
                self._ending_since = trio.current_time()
                self._scope.cancel()
            case Deed.REQUEST:
                self._asked.set()
            case Deed.KILL:
                self._process.kill()
                self._scope.cancel()
            case Deed.NOTHING | Deed.FAIL:
                pass

    async def _operate(self) -> None:
        """Ask for the end of every run that there is, as an operator does, when the time has come."""
        await self._asked.wait()
        client = self._process.client
        found = await client.call(FIND_FLOW_RUNS, FindFlowRuns(filter=FlowRunFilter()))
        for run in found.runs:
            if run.parent_task_run_id is None:
                request = ProposeFlowRunState(run_id=run.id, state=Cancelling(), transition_id=clock.new_id())
                answer = await client.call(PROPOSE_FLOW_RUN_STATE, request)
                if answer.run.state is not None and answer.run.state.type is StateType.CANCELLING:
                    self._ending_since = trio.current_time()
                    self._cancelling.add(run.id)

    def _look(self, tx: Tx) -> None:
        self._in_passing.update(dict.fromkeys(audit_slots(tx)))

    def _planned(self, _: int, kind: Kind) -> StoreFault:
        if self._steps.root is None or self._returned:
            return SOUND
        self._calls += 1
        fault = SOUND
        if self.deed is Deed.FAIL and self.point is not None:
            fault = fail_call(self.point.number, self.point.side)(self._calls, kind)
        if fault is not SOUND:
            self._act(site_of(running_frames(inspect.currentframe())))
        return fault

    @property
    def steps(self) -> int:
        """How many there were until now."""
        return self._steps.steps

    # --- the watch

    async def _watch(self) -> None:
        await trio.sleep(LONGEST_SECONDS)
        self._give_up(f"after {LONGEST_SECONDS / 86_400:g} days of virtual time")
        await trio.sleep(LONGEST_SECONDS)
        self._give_up("")

    def _give_up(self, when: str) -> None:
        if self.endless is not None:
            self.is_beyond_hope, self.is_hopeless = self.is_hopeless, True
            return
        root = self._steps.root
        sites = {str(site_of(waiting_frames(task.coro))) for task in _tasks(root) if not task.child_nurseries}
        self.endless = f"{when} it had not ended, but was at {'; '.join(sorted(sites))}"
        self._scope.cancel()


def _tasks(root: trio.lowlevel.Task | None = None) -> Iterator[trio.lowlevel.Task]:
    """A task and all tasks below it; all that there are."""
    top = root or trio.lowlevel.current_root_task()
    if top is not None:
        yield top
        for nursery in top.child_nurseries:
            for task in nursery.child_tasks:
                yield from _tasks(task)


def _told(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in what a scenario raised, without cancellations and deaths."""
    match error:
        case trio.Cancelled() | Killed() | Abandoned():
            return
        case BaseExceptionGroup(exceptions=inner):
            for one in cast("tuple[BaseException, ...]", inner):
                yield from _told(one)
        case _:
            yield error
