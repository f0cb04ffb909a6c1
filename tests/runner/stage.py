"""Processes that are tasks: a second implementation of `Infrastructure`.

A process is a task, its link a pair of memory streams, its program a function of the test's. It starts, speaks, hears
signals and is killed as a process is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import trio
import trio.testing
from attrs import define, field

from trioflow import clock
from trioflow.client.link import LinkClient, open_link
from trioflow.core.states import Cancelled, Completed, Running, State
from trioflow.errors import LinkClosed, ProcessNotStarted
from trioflow.infrastructure.infrastructure import (
    SIGTERM_AFTER,
    Command,
    ExitReport,
    RunningProcess,
    Sink,
)
from trioflow.processes import EPOCH, FLOW_RUN_ID, HOOKS
from trioflow.wire import endpoints, requests

GRACE = 5.0
EXIT_TERM, EXIT_KILL = -15, -9


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
