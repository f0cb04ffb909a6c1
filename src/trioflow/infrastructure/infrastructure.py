"""What an infrastructure is: where the process of a flow run is placed, watched and ended.

The values that pass between it and who supervises the run. It knows nothing of states: what an exit means for the
run is the supervisor's to say.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from attrs import frozen

if TYPE_CHECKING:
    import trio

SIGTERM_AFTER = 2.0
"""Seconds that a run has to end by itself, once it was told over the link, before the first signal."""

_HELP = {
    -signal.SIGKILL: "It was killed (SIGKILL): by a cancellation that it did not heed within the grace period, or by "
    "the system, because memory ran out.",
    -signal.SIGTERM: "It was told to end (SIGTERM): most often by a cancellation.",
    247: "It was killed because memory ran out.",
}


@frozen(kw_only=True)
class Command:
    """What to start for a run: a list of arguments, never a shell, and the whole environment."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path | None = None
    """Where it starts; None means where the runner is."""


@frozen
class OutputLine:
    """One line that a process wrote, without its line end; what is not UTF-8 in it is replaced."""

    stream: Literal["stdout", "stderr"]
    text: str
    goes_on: bool = False
    """The line was too long: the next piece of this stream belongs to it."""


Sink: TypeAlias = Callable[[Sequence[OutputLine]], Awaitable[None]]
"""Takes lines in the order in which they were read. While it waits, the process is held up, and nothing is lost.

One that raises is not asked again: the process goes on, the rest of what it writes is lost, and its report says so.
"""


@frozen(kw_only=True)
class ExitReport:
    """How a process ended. Nothing of its tree lives any more."""

    status: int
    """0 or the exit status; the negative number of the signal that ended it."""
    killed: bool = False
    """Something in the tree did not end when it was asked to, and was killed."""
    leftovers: int = 0
    """How many processes outlived the run's own, which had ended by itself, and were ended."""
    output_complete: bool = True
    """All that was written has reached the sink, and the sink has taken it."""

    @property
    def explanation(self) -> str:
        """What the status says, for those who do not know it by heart."""
        return explain(self.status)


class RunningProcess(Protocol):
    """The process of a run, owned by the task that runs `Infrastructure.run`."""

    @property
    def pid(self) -> int:
        """The pid of the run's own process: to be shown, never to be signalled."""
        ...

    def take_link(self) -> trio.abc.Stream:
        """Our end of the socket pair whose other end the process inherited. From now on it is the taker's to close.

        Once only. A link that nobody takes is closed when the process is over.
        """
        ...

    def request_stop(self, sigterm_after: float = SIGTERM_AFTER, grace: float | None = None) -> None:
        """SIGTERM to the whole tree in so many seconds, SIGKILL ``grace`` seconds later. Never waits.

        Without a ``grace`` it is the infrastructure's. Asked again, the earlier instants count. Does nothing when
        the process is over.
        """
        ...

    async def wait(self) -> ExitReport:
        """How it ended, once nothing of its tree lives and its output has been handed on."""
        ...


class Infrastructure(Protocol):
    """Places processes. One value may place any number of them."""

    async def run(
        self, command: Command, sink: Sink, *, task_status: trio.TaskStatus[RunningProcess]
    ) -> ExitReport:
        """Start a process, and own it until it is over. Started with `nursery.start`.

        Cancelled, it ends the whole tree, within the grace, before it returns.

        Raises:
            ProcessNotStarted: there is no such program, directory or permission.
        """
        ...


def explain(status: int) -> str:
    """What an exit status says; empty when it says nothing beyond its number."""
    if status in _HELP:
        return _HELP[status]
    if status < 0:
        return f"It was ended by signal {-status} ({_signal_name(-status)})."
    return ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown here"
