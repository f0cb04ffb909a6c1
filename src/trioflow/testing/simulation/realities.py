"""Realities: real sleep, threads, sockets and processes have no place in virtual time. Who uses them is told where.

While a simulation runs, the functions that begin such a thing raise, in its threads, `SimulationError` with the file
and the line that called them and what to do instead. Other threads of the program are none of its business.
"""

# pyright: reportPrivateUsage=false
# (frames are looked at where code stands)

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, final

from attrs import define, field, frozen

from trioflow.errors import SimulationError
from trioflow.testing.simulation.places import place_of

_PROCESS = "put the work behind a function that your test replaces, or give the flow a model of its run"


@frozen
class _Reality:
    """A function that reaches out of the simulation."""

    owner: Any
    name: str
    what: str
    instead: str


_ALL = (
    _Reality(
        time,
        "sleep",
        "time.sleep",
        "in async code `await trio.sleep(seconds)`, in sync code `trio.from_thread.run(trio.sleep, seconds)`",
    ),
    _Reality(
        threading.Thread,
        "start",
        "a thread",
        "a task of a nursery, or `trio.to_thread.run_sync`, which a simulation calls at once",
    ),
    _Reality(
        socket.socket, "__init__", "a socket", "a client that your test passes in; streams of `trio.testing`"
    ),
    _Reality(subprocess.Popen, "__init__", "a process (subprocess)", _PROCESS),
    _Reality(os, "system", "a process (os.system)", _PROCESS),
)


@final
@define(eq=False)
class Realities:
    """What reached out of one simulation, or tried to."""

    error: SimulationError | None = None
    """The first one."""
    _notice: Callable[[], object] = field(default=lambda: None)
    """Called in the loop's thread when there is one."""
    _loop: int = 0
    """The loop's thread; 0 before the simulation has begun."""
    _threads: set[int] = field(factory=set[int])
    """The threads of the simulation, by their identifiers."""
    _start: Callable[[threading.Thread], None] = threading.Thread.start

    @contextmanager
    def kept_out(self, modules: Iterable[ModuleType] = ()) -> Generator[None]:
        """Within the block, once this thread has called `begin`, and in threads of `start`, real things raise.

        Args:
            modules: those that may have such functions under names of their own: ``from time import sleep``.
        """
        modules = list(modules)
        with ExitStack() as stack:
            for reality in _ALL:
                real = getattr(reality.owner, reality.name)
                guard = self._guard(reality, real)
                for owner, name in [(reality.owner, reality.name), *_aliases(modules, real)]:
                    stack.enter_context(_replaced(owner, name, guard))
            try:
                yield
            finally:
                self._threads.clear()

    def begin(self, notice: Callable[[], object]) -> None:
        """From now on, for this thread, the loop's. ``notice`` is called in it when something of the kind is met."""
        self._loop, self._notice = threading.get_ident(), notice
        self._threads.add(self._loop)

    def start(self, thread: threading.Thread) -> None:
        """Start a thread of the simulation's own."""
        run = thread.run

        def known() -> None:
            self._threads.add(threading.get_ident())
            try:
                run()
            finally:
                self._threads.discard(threading.get_ident())

        thread.run = known  # type: ignore[method-assign]
        self._start(thread)

    def where_is(self, thread: threading.Thread) -> str:
        """Where a thread is: in a file of the user's, if there is one under it."""
        frame = sys._current_frames().get(thread.ident or 0)
        return place_of(frame) if frame is not None else "a place that nobody knows"

    def _guard(self, reality: _Reality, real: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() not in self._threads:
                return real(*args, **kwargs)
            error = SimulationError(
                f"{place_of(sys._getframe(1))} uses {reality.what} inside a simulation, where time is virtual. "
                f"Use instead: {reality.instead}"
            )
            self.error = self.error or error
            if threading.get_ident() == self._loop:
                self._notice()
            raise error

        return guarded


def _aliases(modules: Iterable[ModuleType], real: object) -> list[tuple[ModuleType, str]]:
    """Where else the function is known, and as what."""
    return [(module, name) for module in modules for name, value in vars(module).items() if value is real]


@contextmanager
def _replaced(owner: Any, name: str, by: object) -> Generator[None]:
    before = getattr(owner, name)
    setattr(owner, name, by)
    try:
        yield
    finally:
        setattr(owner, name, before)
