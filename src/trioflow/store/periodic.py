"""Functions that a writer runs again and again: which of them are due, and when the next one is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Lock
from typing import final

from attrs import define, field

from trioflow.errors import StoreError
from trioflow.store.batch import Request, call
from trioflow.store.store import Durability, Tx

logger = logging.getLogger("trioflow.store")


@final
@define(eq=False)
class Periodic:
    """A function that is run every so often, until cancelled."""

    seconds: float
    fn: Callable[[Tx], object]
    durability: Durability
    due: float
    """When it is next run, on the writer's monotonic clock, in seconds."""

    _lock: Lock
    cancelled: bool = False

    def cancel(self) -> None:
        """Ends it. Once this has returned, the function is not begun again."""
        with self._lock:
            self.cancelled = True


@final
@define(eq=False)
class Timetable:
    """The periodic functions of one store. Entries come from the event loop, and are run by the writer."""

    _now: Callable[[], float]
    lock: Lock
    """Held while the writer decides what it begins."""
    _entries: list[Periodic] = field(factory=list[Periodic])

    def add(self, seconds: float, fn: Callable[[Tx], object], durability: Durability) -> Periodic:
        """A new entry, due ``seconds`` from now."""
        if seconds <= 0:
            raise ValueError(f"a periodic function needs a positive number of seconds, not {seconds}")
        entry = Periodic(seconds, fn, durability, self._now() + seconds, self.lock)
        with self.lock:
            self._entries.append(entry)
        return entry

    def seconds_left(self) -> float | None:
        """How long until something is due (0 if it is), None if nothing ever will be."""
        entries = [entry.due for entry in self._entries if not entry.cancelled]
        return max(0.0, min(entries) - self._now()) if entries else None

    def take_due(self) -> list[Request]:
        """What is to be run now, each entry put off to its next time. The caller holds the lock.

        Times that were missed are not made up for.
        """
        now = self._now()
        self._entries = [entry for entry in self._entries if not entry.cancelled]
        due = [entry for entry in self._entries if entry.due <= now]
        for entry in due:
            entry.due = now + entry.seconds
        return [Request(call, entry.fn, entry.durability) for entry in due]


def report_failures(requests: Sequence[Request]) -> None:
    """Logs what went wrong with periodic functions, for nobody waits for their answers."""
    for request in requests:
        if not request.handed and request.error is not None:
            defect = None if isinstance(request.error, StoreError) else request.error
            name = getattr(request.item, "__qualname__", request.item)
            told = "a periodic function failed, and will be run again: %s: %s"
            logger.error(told, name, request.error, exc_info=defect)
