"""Where a simulated runner places its runs: each process is a task, its link a pipe, its signals a cancellation.

Everything that the process does is the engine's own (`trioflow.engine.child.carry_out`). SIGTERM cancels it with the
reason that the real one has; SIGKILL is the machine's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from signal import SIGTERM
from typing import final

import trio
from attrs import define, field, frozen

from trioflow.client.client import Client
from trioflow.client.link import LinkClient, open_link
from trioflow.core.leases import GRACE_SECONDS
from trioflow.engine.child import Orders, carry_out
from trioflow.engine.edges import own_nursery
from trioflow.engine.ends import Ends
from trioflow.engine.served import Loader
from trioflow.errors import TrioflowBug
from trioflow.infrastructure.infrastructure import (
    SIGTERM_AFTER,
    Command,
    ExitReport,
    RunningProcess,
    Sink,
)
from trioflow.processes import LINK_FD
from trioflow.testing.simulation.machine import KILLED, Machine, Process
from trioflow.testing.simulation.pipe import Delay, PipeEnd, pipe
from trioflow.testing.simulation.sometimes import HOOKS_ALONE

_NO_DESCRIPTOR = "0"


@final
@frozen(kw_only=True, eq=False)
class SimulatedInfrastructure:
    """See `trioflow.infrastructure.infrastructure.Infrastructure`."""

    machine: Machine
    runner: Process
    """Who starts them: they do not outlive it."""
    delay: Delay
    """Of messages on a link."""
    unsteady: Callable[[Client], Client]
    """What comes over the requests of a run to its runner."""
    load_flow: Loader
    grace_seconds: float = GRACE_SECONDS

    async def run(
        self,
        command: Command,
        sink: Sink,  # noqa: ARG002 - a simulated process writes nothing
        *,
        task_status: trio.TaskStatus[RunningProcess] = trio.TASK_STATUS_IGNORED,
    ) -> ExitReport:
        """Start a process, and own it until it is over."""
        process = self._start(command.environment)
        try:
            task_status.started(process)
            return await process.wait()
        finally:
            if process.process.status is None:
                process.request_stop(0.0)
                with trio.CancelScope(shield=True):
                    await process.wait()

    def _start(self, environment: Mapping[str, str]) -> SimulatedRun:
        orders = Orders.taken_from({**environment, LINK_FD: _NO_DESCRIPTOR})
        claimed = orders.claimed
        if orders.hooks is not None:
            self.machine.journal.note(HOOKS_ALONE)
        ours, theirs = pipe(self.delay)
        engine = SimulatedEngine(orders, theirs, self.unsteady, self.load_flow)
        name = f"{self.runner.name}/{claimed.run_id.hex[-6:]}.{claimed.epoch}"
        process = self.machine.start(
            name, engine.run, host=self.runner.owner.host, parent=self.runner, run_id=claimed.run_id
        )
        process.cut = ours.cut
        process.at_end(theirs.close)
        self.runner.at_end(ours.close)
        shim = SimulatedRun(process, ours, self.grace_seconds)
        self.machine.nursery.start_soon(shim.see_through, self.machine, name=f"shim {name}")
        return shim


@final
@define(eq=False)
class SimulatedRun:
    """See `trioflow.infrastructure.infrastructure.RunningProcess`."""

    process: Process
    _link: PipeEnd | None
    """None once it was taken."""
    _grace: float
    _patience: trio.CancelScope = field(factory=trio.CancelScope)
    """Its deadline is when the process gets SIGTERM."""
    _mercy: trio.CancelScope = field(factory=trio.CancelScope)
    """Its deadline is when the process gets SIGKILL."""

    @property
    def pid(self) -> int:
        """See `RunningProcess.pid`."""
        return self.process.owner.pid

    def take_link(self) -> trio.abc.Stream:
        """See `RunningProcess.take_link`."""
        if self._link is None:
            raise TrioflowBug("the link to a process was taken twice")
        link, self._link = self._link, None
        return link

    def request_stop(self, sigterm_after: float = SIGTERM_AFTER, grace: float | None = None) -> None:
        """See `RunningProcess.request_stop`."""
        term = trio.current_time() + sigterm_after
        kill = term + (self._grace if grace is None else grace)
        self._patience.deadline = min(self._patience.deadline, term)
        self._mercy.deadline = min(self._mercy.deadline, kill)

    async def wait(self) -> ExitReport:
        """See `RunningProcess.wait`."""
        await self.process.over.wait()
        status = self.process.status or 0
        return ExitReport(status=status, killed=status == KILLED and self._mercy.deadline < inf)

    async def see_through(self, machine: Machine) -> None:
        """Tell the process to end when it is time, and kill it when it is too late: what its shim does."""
        with self._patience:
            await self.process.over.wait()
            return
        self.process.terminate()
        with self._mercy:
            await self.process.over.wait()
            return
        machine.kill(self.process)


@final
@frozen(eq=False)
class SimulatedEngine:
    """What `trioflow.engine.child.main` does, in a process that is one already."""

    orders: Orders
    stream: PipeEnd
    unsteady: Callable[[Client], Client]
    load_flow: Loader

    async def run(self, process: Process) -> int:
        """Its exit status."""
        async with own_nursery() as nursery:
            client: LinkClient = await nursery.start(open_link, self.stream)
            ends = Ends(client)
            process.on_sigterm = partial(ends.hear, SIGTERM)
            nursery.start_soon(ends.heed_requests)
            nursery.start_soon(ends.heed_link)
            run = partial(carry_out, self.unsteady(client), self.orders, self.load_flow)
            status = await ends.heeded(run)
            nursery.cancel_scope.cancel()
        return status
