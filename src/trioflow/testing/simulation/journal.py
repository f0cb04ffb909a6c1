"""The journal: one line for each transition and each fault, with the wall clock of the simulation, and its digest.

The digest also covers every step that a task took, at which virtual moment: two simulations with the same digest did
the same. Nothing is kept but the last lines; whoever wants all of them brings a file.
"""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, TextIO, final

import trio
from attrs import define, field

from trioflow import clock
from trioflow.testing.simulation.scheduling import number_of

LAST_LINES = 40
MOST_AT_ONCE = 50_000
"""More steps than that are not taken at one moment by tasks that come to an end."""
_STEP = struct.Struct("<dI")
_FLUSH_AT = 64 * 1024


@final
@define(eq=False)
class Journal:
    """What happened, in order."""

    _file: TextIO | None = None
    lines: int = field(default=0, init=False)
    faults: int = field(default=0, init=False)
    steps: int = field(default=0, init=False)
    noted: set[str] = field(factory=set[str], init=False)
    """What of `trioflow.testing.simulation.sometimes.SOMETIMES` has happened."""
    last: deque[str] = field(factory=lambda: deque(maxlen=LAST_LINES), init=False)
    _hash: Any = field(factory=lambda: hashlib.sha256(usedforsecurity=False), init=False)
    _waiting: bytearray = field(factory=bytearray, init=False)
    """Of the digest."""

    def line(self, at: datetime, what: str) -> None:
        """Something happened, at this instant by the simulation's wall clock."""
        text = f"{at:%Y-%m-%dT%H:%M:%S.%fZ} {what}\n"
        self.lines += 1
        self.last.append(text)
        if self._file is not None:
            self._file.write(text)
        self._feed(text.encode())

    def fault(self, what: str) -> None:
        """A fault was done, now."""
        self.faults += 1
        self.line(clock.now(), f"fault {what}")

    def note(self, what: str) -> None:
        """Something has happened that must happen sometimes."""
        self.noted.add(what)

    def step(self, at: float, task: int) -> None:
        """A task, by its number in this simulation, took a step."""
        self.steps += 1
        self._feed(_STEP.pack(at, task))

    @property
    def digest(self) -> str:
        """Of all until now: 64 hex digits."""
        self._flush()
        return str(self._hash.hexdigest())

    def _feed(self, data: bytes) -> None:
        self._waiting += data
        if len(self._waiting) >= _FLUSH_AT:
            self._flush()

    def _flush(self) -> None:
        self._hash.update(self._waiting)
        self._waiting.clear()


@final
@define(eq=False)
class Steps(trio.abc.Instrument):
    """Writes each task's steps into the journal."""

    _journal: Journal
    spins: Callable[[trio.lowlevel.Task], object] | None = None
    """Called, once, when so many steps were taken at one moment that time seems to stand still."""
    _seconds: float = -1.0
    """Trio's time at the last step."""
    _at_once: int = 0
    """How many steps were taken at it."""
    _first: int | None = None
    """The number of the first task."""

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """See `trio.abc.Instrument`."""
        number = number_of(task)
        if self._first is None:
            self._first = number
        seconds = trio.current_time()
        self._at_once = self._at_once + 1 if seconds == self._seconds else 0
        self._seconds = seconds
        self._journal.step(seconds, number - self._first)
        if self._at_once == MOST_AT_ONCE and self.spins is not None:
            self.spins(task)


@final
@define(eq=False)
class StepsTaken(trio.abc.Instrument):
    """Tells somebody of each step that a task has taken."""

    _taken: Callable[[trio.lowlevel.Task], object]

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """See `trio.abc.Instrument`."""
        self._taken(task)
