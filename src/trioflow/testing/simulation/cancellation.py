"""Cancellation in order: Trio cancels what is in a scope, and scopes of one deadline, in the order of addresses.

Most of that cannot be seen, since tasks are sorted before they run. But what an abort function does (to withdraw a
request, say) is done at once. So for the time of a `trio.run` the sets that Trio goes through are put in order: tasks
by their age, scopes as they were opened, deadlines as they were set.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from heapq import heappush
from itertools import count
from typing import Any

import trio

from trioflow.testing.simulation.scheduling import number_of, private_trio


class _Tasks(set[trio.lowlevel.Task]):
    """Gone through from the oldest to the youngest."""

    def __iter__(self) -> Iterator[trio.lowlevel.Task]:
        return iter(sorted(super().__iter__(), key=number_of))


class _Scopes(dict[Any, None]):
    """What Trio needs of a set, in the order in which it was filled."""

    def add(self, scope: object) -> None:
        self[scope] = None

    def remove(self, scope: object) -> None:
        del self[scope]


@contextmanager
def cancelled_in_order() -> Generator[None]:
    """Within the block, a `trio.run` cancels in an order that does not depend on addresses."""
    private: Any = private_trio()
    status, deadlines = private.CancelStatus, private.Deadlines
    begin, add, children = status.__init__, deadlines.add, status.children
    numbers = count()

    def begun(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        self._tasks, self._children = _Tasks(), _Scopes()

    def added(self: Any, deadline: float, scope: trio.CancelScope) -> None:
        heappush(self._heap, (deadline, next(numbers), scope))
        self._active += 1

    status.__init__, deadlines.add = begun, added
    status.children = property(lambda self: tuple(self._children))
    try:
        yield
    finally:
        status.__init__, deadlines.add, status.children = begin, add, children
