"""The machine: simulated processes, each a tree of tasks, that can be told to end, stopped, continued and killed.

Theory of operation. A process that is stopped or killed is not cancelled: its tasks are taken out of Trio's hands
before they run again, as the kernel does it. What happens to them meanwhile (an answer, a deadline) finds them where
they stopped. A stopped process goes on with all of that when it is continued. A killed one never does: no ``finally``
of it runs while the simulation lasts, and its ends of links are closed by the machine. When all is over, what was
killed is unwound, with nobody left to hear it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING, Any, final
from uuid import UUID

import trio
from attrs import define, field

from trioflow.core.leases import Owner
from trioflow.engine.crashes import TERMINATED
from trioflow.processes import act_as
from trioflow.testing.simulation.scheduling import Order, private_trio
from trioflow.testing.simulation.sometimes import KILLED_AT_WORK

if TYPE_CHECKING:
    from trioflow.testing.simulation.journal import Journal

KILLED = -9
Main = Callable[["Process"], Awaitable[int]]
"""What a process does: its exit status."""

_running: ContextVar[Process | None] = ContextVar("trioflow simulation process", default=None)


def process_of(task: trio.lowlevel.Task) -> Process | None:
    """The simulated process that a task is of."""
    return task.context.get(_running)


@final
@define(eq=False)
class Process:
    """One simulated process."""

    name: str
    owner: Owner
    machine: Machine
    parent: Process | None = None
    """Whose end is its own end too."""
    run_id: UUID | None = None
    """The run that it is for, if it is for one."""
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    """Around its main function."""
    is_dead: bool = False
    """Nothing of it runs any more, and nothing that it asks for is done."""
    is_stopped: bool = False
    status: int | None = None
    """Its exit status, once it is over."""
    error: BaseException | None = None
    """What its main function raised that nobody had foreseen."""
    over: trio.Event = field(factory=trio.Event)
    on_sigterm: Callable[[], object] | None = None
    """What it does about SIGTERM; without one, it ends."""
    cut: Callable[[], object] = lambda: None
    """Cuts its link to its parent."""
    _held: list[trio.lowlevel.Task] = field(factory=list[trio.lowlevel.Task])
    """Tasks that would run, were it not stopped."""
    _closes: list[Callable[[], object]] = field(factory=list[Callable[[], object]])

    def terminate(self) -> None:
        """SIGTERM."""
        if self.on_sigterm is not None:
            self.on_sigterm()
        else:
            self.scope.cancel(TERMINATED)

    def is_gone(self, owner: Owner) -> bool:
        """See `trioflow.processes.is_gone`: known of processes on the same host only."""
        return owner.host == self.owner.host and self.machine.is_over(owner)

    def at_end(self, close: Callable[[], object]) -> None:
        """Have this called when it is over, however it ends."""
        self._closes.append(close)

    @property
    def is_held(self) -> bool:
        """Its tasks are not to run."""
        return self.is_stopped or self.is_dead

    def hold(self, task: trio.lowlevel.Task) -> None:
        """Keep a task that would run."""
        self._held.append(task)

    def release(self) -> None:
        """Let the tasks run that would."""
        runner: Any = private_trio().GLOBAL_RUN_CONTEXT.runner
        runner.runq.extend(self._held)
        self._held = []

    def close(self) -> None:
        """Close what it has open."""
        closes, self._closes = self._closes, []
        for close in closes:
            close()


@final
@define(eq=False)
class Machine:
    """All processes of one simulation."""

    nursery: trio.Nursery
    order: Order
    journal: Journal
    _numbers: Iterator[int] = field(factory=lambda: count(100))
    _alive: dict[Owner, Process] = field(factory=dict[Owner, Process])
    _killed: list[Process] = field(factory=list[Process])
    _countdowns: dict[Process, int] = field(factory=dict["Process", int])
    """How many steps a process that is to be killed at a step still takes."""

    # --- starting

    def start(
        self,
        name: str,
        main: Main,
        *,
        host: str = "host",
        parent: Process | None = None,
        run_id: UUID | None = None,
    ) -> Process:
        """A new process that runs ``main``."""
        number = next(self._numbers)
        process = Process(name, Owner(host=host, pid=number, started=number), self, parent, run_id)
        self._alive[process.owner] = process
        self.nursery.start_soon(self._own, process, main, name=f"process {name}")
        return process

    async def _own(self, process: Process, main: Main) -> None:
        _running.set(process)
        status = KILLED
        try:
            with act_as(process):
                status = await self._outcome(process, main)
        finally:
            self._bury(process, status)

    async def _outcome(self, process: Process, main: Main) -> int:
        try:
            with process.scope:
                return await main(process)
        except BaseException as error:
            if not process.is_dead:
                process.error = error
            if isinstance(error, Exception) or process.is_dead:
                return 1
            raise
        return 0

    # --- looking

    @property
    def alive(self) -> list[Process]:
        """Those that are not over, the oldest first."""
        return list(self._alive.values())

    def is_over(self, owner: Owner) -> bool:
        """Whether that process has ended."""
        return owner not in self._alive

    # --- ending

    def kill(self, process: Process) -> None:
        """SIGKILL: it does nothing more. Its children end with it, as the shim sees to it."""
        if process.over.is_set():
            return
        if any(child.parent is process for child in self.alive):
            self.journal.note(KILLED_AT_WORK)
        process.is_dead = True
        self._killed.append(process)
        self._mind()
        self._bury(process, KILLED)
        self.order.drop(self._is_held)

    def kill_after(self, process: Process, steps: int) -> None:
        """`kill` it when its tasks have taken so many more steps."""
        self._countdowns[process] = steps

    def stop(self, process: Process) -> None:
        """SIGSTOP: it does nothing until it is continued."""
        process.is_stopped = True
        self._mind()
        self.order.drop(self._is_held)

    def go_on(self, process: Process) -> None:
        """SIGCONT."""
        process.is_stopped = False
        if not process.is_dead:
            process.release()
        self._mind()

    def unwind(self) -> None:
        """All is over: whoever is left is killed, and whoever was may clean up now, with nobody to hear it."""
        self._countdowns.clear()
        for process in self.alive:
            self.kill(process)
        self.order.keep = None
        for process in self._killed:
            process.scope.cancel("the simulation is over")
            process.release()

    # --- for Trio's loop

    def stepped(self, task: trio.lowlevel.Task) -> None:
        """A task has taken a step: kill its process, if it was its last one."""
        if not self._countdowns:
            return
        process = process_of(task)
        if process not in self._countdowns:
            return
        self._countdowns[process] -= 1
        if self._countdowns[process] <= 0:
            del self._countdowns[process]
            self.journal.fault(f"kill {process.name} at a step")
            self.kill(process)

    def _mind(self) -> None:
        is_needed = bool(self._killed) or any(process.is_stopped for process in self._alive.values())
        self.order.keep = self._keep if is_needed else None

    def _keep(self, batch: list[trio.lowlevel.Task]) -> None:
        batch[:] = [task for task in batch if not self._is_held(task)]

    def _is_held(self, task: trio.lowlevel.Task) -> bool:
        process = process_of(task)
        if process is None or not process.is_held:
            return False
        process.hold(task)
        return True

    def _bury(self, process: Process, status: int) -> None:
        self._countdowns.pop(process, None)
        if self._alive.pop(process.owner, None) is None:
            return
        process.status = status
        process.close()
        for child in self.alive:
            if child.parent is process:
                self.kill(child)
        process.over.set()
