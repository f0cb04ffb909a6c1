"""A house for runners: a store in memory, Trio's virtual clock, and processes that are tasks.

`Stage` is a second implementation of `Infrastructure`: a process is a task, its link a pair of memory streams, its
program a function of the test's. It starts, speaks, hears signals and is killed as a process is.
"""

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
from attrs import define, field, frozen

from trioflow import clock
from trioflow.client.client import Client
from trioflow.client.connect import serve_store
from trioflow.client.link import LinkClient, open_link
from trioflow.core.deployments import DeploymentSchedule
from trioflow.core.runs import FlowRun
from trioflow.core.states import Cancelled, Cancelling, Completed, Running, Scheduled, State
from trioflow.deployments.deployment import FlowDeployment
from trioflow.errors import LinkClosed, ProcessNotStarted
from trioflow.infrastructure.infrastructure import (
    SIGTERM_AFTER,
    Command,
    ExitReport,
    OutputLine,
    RunningProcess,
    Sink,
)
from trioflow.processes import EPOCH, FLOW_RUN_ID, HOOKS
from trioflow.runner.runner import Runner
from trioflow.settings import Settings, use_settings
from trioflow.store.sqlite import open_memory
from trioflow.wire import endpoints, requests
from trioflow.wire.filters import ChangeFilter, FlowRunFilter
from trioflow.wire.requests import LogRecord

START = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = 5.0
HANGS_AFTER = 4_000.0
"""No test takes that long on the virtual clock."""
EXIT_TERM, EXIT_KILL = -15, -9


class World(clock.RealWorld):
    """The wall clock goes with Trio's; chance is always the same."""

    def now(self) -> datetime:
        return START + timedelta(seconds=trio.current_time())

    def draw(self) -> float:
        return 0.5


@define(eq=False)
class Child:
    """A program at work: the process that it is, and the run that it is for."""

    run_id: UUID
    epoch: int
    hooks_of: int | None
    """Which state's hooks it was started to call."""
    client: LinkClient
    heeds_sigterm: bool = True
    sigterm: trio.Event = field(factory=trio.Event)
    kill: trio.CancelScope = field(factory=trio.CancelScope)
    over: trio.Event = field(factory=trio.Event)

    async def say(self, state: State) -> Any:
        """Propose a state for the run."""
        request = requests.ProposeFlowRunState(
            run_id=self.run_id, state=state, transition_id=clock.new_id(), epoch=self.epoch
        )
        return await self.client.call(endpoints.PROPOSE_FLOW_RUN_STATE, request)

    async def prepare(self) -> None:
        """As an engine does that has loaded its flow."""
        run = await self.client.call(endpoints.READ_FLOW_RUN, requests.ReadFlowRun(run_id=self.run_id))
        request = requests.PrepareFlowRun(
            run_id=self.run_id,
            epoch=self.epoch,
            retry=run.retry,
            flow_version=None,
            hooked=run.hooked,
            timeout=None,
        )
        await self.client.call(endpoints.PREPARE_FLOW_RUN, request)


Program = Callable[[Child], Awaitable[int]]
"""Returns its exit status."""


async def succeed(child: Child) -> int:
    await child.say(Running())
    await child.say(Completed())
    return 0


def lasting(seconds: float) -> Program:
    """A program that works that long, and ends at once when it is asked to."""

    async def program(child: Child) -> int:
        await child.prepare()
        await child.say(Running())
        with trio.move_on_after(seconds):
            reason = await child.client.wait_cancel_request()
            await child.say(Cancelled(message=reason))
            return 1
        await child.say(Completed())
        return 0

    return program


async def deaf(child: Child) -> int:
    """Hears nothing, and has to be killed."""
    child.heeds_sigterm = False
    await child.say(Running())
    await trio.sleep_forever()
    return 0


@define(eq=False)
class Acted:
    """A `RunningProcess` that is a task."""

    pid: int
    child: Child
    grace: float
    nursery: trio.Nursery
    _link: trio.abc.Stream
    report: ExitReport | None = None

    def take_link(self) -> trio.abc.Stream:
        return self._link

    def request_stop(self, sigterm_after: float = SIGTERM_AFTER, grace: float | None = None) -> None:
        if not self.child.over.is_set():
            self.nursery.start_soon(self._stop, sigterm_after, self.grace if grace is None else grace)

    async def _stop(self, sigterm_after: float, grace: float) -> None:
        await trio.sleep(sigterm_after)
        self.child.sigterm.set()
        await trio.sleep(grace)
        self.child.kill.cancel()

    async def wait(self) -> ExitReport:
        await self.child.over.wait()
        assert self.report is not None
        return self.report


@define(eq=False)
class Stage:
    """Processes that are tasks; ``alive`` are those that live now, ``most`` is how many there ever were at once."""

    program: Program = succeed
    grace: float = GRACE
    may_start: trio.Event | None = None
    """Nothing starts before it is set."""
    fails_to_start: int = 0
    """So many of the next starts fail."""
    alive: dict[int, Child] = field(factory=dict)
    started: list[Child] = field(factory=list)
    started_at: list[float] = field(factory=list)
    most: int = 0
    changed: trio.Event = field(factory=trio.Event)

    async def run(
        self, command: Command, sink: Sink, *, task_status: trio.TaskStatus[RunningProcess]
    ) -> ExitReport:
        await trio.lowlevel.checkpoint()
        if self.may_start is not None:
            await self.may_start.wait()
        if self.fails_to_start:
            self.fails_to_start -= 1
            raise ProcessNotStarted("there is no such program")
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            client = await nursery.start(open_link, theirs)
            process = self._process(command, nursery, client, ours)
            self._note(process.pid, process.child)
            try:
                task_status.started(process)
                process.report = ExitReport(status=await self._exit_status(process.child))
            finally:
                del self.alive[process.pid]
                process.child.over.set()
                self._changed()
            nursery.cancel_scope.cancel()
        assert process.report is not None
        return process.report

    def _process(
        self, command: Command, nursery: trio.Nursery, client: LinkClient, link: trio.abc.Stream
    ) -> Acted:
        said = command.environment
        child = Child(
            run_id=UUID(said[FLOW_RUN_ID]),
            epoch=int(said[EPOCH]),
            hooks_of=int(said[HOOKS]) if HOOKS in said else None,
            client=client,
        )
        return Acted(1000 + len(self.started), child, self.grace, nursery, link)

    def _note(self, pid: int, child: Child) -> None:
        self.alive[pid] = child
        self.started.append(child)
        self.started_at.append(trio.current_time())
        self.most = max(self.most, len(self.alive))
        self._changed()

    def _changed(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def _exit_status(self, child: Child) -> int:
        status = EXIT_KILL
        with child.kill:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._heed_sigterm, child, nursery.cancel_scope)
                status = EXIT_TERM
                try:
                    status = await self.program(child)
                except LinkClosed:
                    status = 1
                nursery.cancel_scope.cancel()
        return EXIT_KILL if child.kill.cancelled_caught else status

    async def _heed_sigterm(self, child: Child, program: trio.CancelScope) -> None:
        await child.sigterm.wait()
        if child.heeds_sigterm:
            program.cancel()

    async def wait_alive(self, count: int) -> None:
        """Returns when so many processes live."""
        while len(self.alive) != count:
            await self.changed.wait()


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
