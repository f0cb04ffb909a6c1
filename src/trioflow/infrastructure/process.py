"""Processes on this machine: each under a shim of its own, each owned by the task that started it.

Linux is measured; on macOS what leaves the program's process group stays alive. Windows is unmeasured.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, final

import trio
from attrs import define, field, frozen

from trioflow.core.leases import GRACE_SECONDS
from trioflow.errors import ProcessNotStarted, TrioflowBug
from trioflow.infrastructure.adoption import FAMILY
from trioflow.infrastructure.infrastructure import SIGTERM_AFTER, ExitReport
from trioflow.infrastructure.orphans import sweep_run
from trioflow.infrastructure.output import Output
from trioflow.infrastructure.shim_control import ShimControl
from trioflow.processes import LINK_FD

if TYPE_CHECKING:
    from trioflow.infrastructure.infrastructure import Command, RunningProcess, Sink

SHIM = Path(__file__).with_name("shim.py")

_LATE_SECONDS = 0.5
"""A shim that is this late after the grace is given up: it is killed, and its tree is swept up."""
_SWEEP_SECONDS = 5.0
_HASTY_DRAIN_SECONDS = 0.25
"""Who is cancelled has to be gone a second after the grace, late shims included."""
_CLOSE_SECONDS = 1.0


@final
@frozen(kw_only=True)
class ProcessInfrastructure:
    """Places each run in a process tree of this machine; see `Infrastructure`."""

    grace_seconds: float = GRACE_SECONDS
    """Between SIGTERM and SIGKILL, where `RunningProcess.request_stop` does not say otherwise."""
    drain_seconds: float = 5.0
    """How long the sink has, once the tree is gone, for what is still in the pipes."""

    async def run(
        self,
        command: Command,
        sink: Sink,
        *,
        task_status: trio.TaskStatus[RunningProcess] = trio.TASK_STATUS_IGNORED,
    ) -> ExitReport:
        """Start a process, and own it until nothing of its tree lives; see `Infrastructure.run`."""
        process = await _start_shim(command, Output(sink), self.grace_seconds)
        try:
            await process.wait_started()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(process.pump)
                drain = _HASTY_DRAIN_SECONDS
                try:
                    task_status.started(process)
                    await process.wait_over()
                    drain = self.drain_seconds
                finally:
                    await process.end()
                    process.output.end_within(drain)
        finally:
            await process.end()
            await process.close()
        return await process.wait()


@final
@define(eq=False)
class _OwnedProcess:
    """A `RunningProcess`, and what its owner needs to see it through."""

    _shim: trio.Process
    _control: ShimControl
    _command: Command
    _grace: float
    _link: trio.SocketStream | None
    """None once somebody has taken it."""
    output: Output
    pid: int = 0
    """0 until the shim has told it."""
    _patience: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    """Around the wait for the shim's report; its deadline can only come nearer."""
    _ended: bool = field(default=False, init=False)
    _swept: int = field(default=0, init=False)
    _closed: trio.Event = field(factory=trio.Event, init=False)

    # --- for whoever supervises the run

    def take_link(self) -> trio.abc.Stream:
        """See `RunningProcess.take_link`."""
        if self._link is None:
            raise TrioflowBug("the link to a process was taken twice")
        link, self._link = self._link, None
        return link

    def request_stop(self, sigterm_after: float = SIGTERM_AFTER, grace: float | None = None) -> None:
        """See `RunningProcess.request_stop`."""
        grace = self._grace if grace is None else grace
        self._control.stop(sigterm_after, grace)
        late = trio.current_time() + sigterm_after + grace + _LATE_SECONDS
        self._patience.deadline = min(self._patience.deadline, late)

    async def wait(self) -> ExitReport:
        """See `RunningProcess.wait`."""
        await self._closed.wait()
        complete = self.output.complete
        if (exited := self._control.exited) is not None:
            return ExitReport(
                status=exited.status,
                killed=exited.killed,
                leftovers=exited.leftovers,
                output_complete=complete,
            )
        status = self._shim.returncode or -signal.SIGKILL
        return ExitReport(status=status, killed=True, leftovers=self._swept, output_complete=complete)

    # --- for its owner

    async def wait_started(self) -> None:
        """Returns when the program runs.

        Raises:
            ProcessNotStarted: it does not; says why.
        """
        self.pid = await self._control.wait_started()

    async def pump(self) -> None:
        """Hand its output on, to the end; see `Output.pump`."""
        if self._shim.stdout is not None and self._shim.stderr is not None:
            await self.output.pump(self._shim.stdout, self._shim.stderr)

    async def wait_over(self) -> None:
        """Returns when the tree is gone, or when its shim is dead or too late to be waited for."""
        with self._patience:
            await self._control.wait_exited()

    async def end(self) -> None:
        """Returns when the tree is gone, cancelled or not; takes the grace and a little at most."""
        if self._ended:
            return
        self.request_stop(0)
        with trio.CancelScope(shield=True, deadline=self._patience.deadline):
            await self._control.wait_exited()
            await self._shim.wait()
        with trio.move_on_after(_SWEEP_SECONDS, shield=True):
            self._shim.kill()
            await self._shim.wait()
            FAMILY.lose(self._shim.pid)
            if self._control.exited is None:
                self._swept = await sweep_run(self._command.environment)
        self._ended = True

    async def close(self) -> None:
        """Let go of everything that is still ours."""
        streams = [self._shim.stdout, self._shim.stderr, self._control.stream, self._link]
        with trio.move_on_after(_CLOSE_SECONDS, shield=True):
            for stream in streams:
                if stream is not None:
                    await trio.aclose_forcefully(stream)
        self._closed.set()


async def _start_shim(command: Command, output: Output, grace: float) -> _OwnedProcess:
    try:
        with ExitStack() as theirs, ExitStack() as ours:
            control, their_control = _socket_pair(ours, theirs)
            link, their_link = _socket_pair(ours, theirs)
            with FAMILY.birth():
                shim = await trio.lowlevel.open_process(
                    _shim_arguments(their_control, their_link, grace) + list(command.argv),
                    env={**command.environment, LINK_FD: str(their_link.fileno())},
                    cwd=command.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=(their_control.fileno(), their_link.fileno()),
                    start_new_session=True,
                )
                FAMILY.own(shim.pid)
            ours.pop_all()
    except (OSError, ValueError) as error:
        raise ProcessNotStarted(f"{command.argv[0]} could not be started: {error}") from error
    link_stream = trio.SocketStream(trio.socket.from_stdlib_socket(link))
    return _OwnedProcess(shim, ShimControl(control), command, grace, link_stream, output)


def _socket_pair(ours: ExitStack, theirs: ExitStack) -> tuple[socket.socket, socket.socket]:
    mine, its = socket.socketpair()
    return ours.enter_context(mine), theirs.enter_context(its)


def _shim_arguments(control: socket.socket, link: socket.socket, grace: float) -> list[str]:
    numbers = [str(number) for number in (control.fileno(), link.fileno(), os.getpid(), grace)]
    return [sys.executable, "-I", "-S", str(SHIM), *numbers]
