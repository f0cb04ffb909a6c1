"""The change feed, as the event loop sees it: the newest number heard of, and who waits for a newer one."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import trio
from attrs import define, field

from trioflow.errors import StoreClosed


@final
@define(eq=False)
class Feed:
    """Wakes its waiters when a number is published. Only `wanted` and `waiting` are for other threads too."""

    newest: int
    wanted: bool = False
    """While it is, the writer looks for other processes' changes. It stays so between two waits: see `calm_down`."""
    waiting: int = 0
    """How many wait."""
    _closed: bool = False
    _waiters: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    def publish(self, number: int) -> None:
        """``number`` has been committed; older news change nothing."""
        if number > self.newest:
            self.newest = number
            self._waiters.unpark_all()

    async def wait(self, after: int, first_waits: Callable[[], object] = lambda: None) -> int:
        """The newest number, once it is greater than ``after``. Calls ``first_waits`` if it was not wanted before.

        Raises:
            StoreClosed: `close` was called.
        """
        if self.newest > after:
            await trio.lowlevel.checkpoint()
            return self.newest
        self.waiting += 1
        if not self.wanted:
            self.wanted = True
            first_waits()
        try:
            while self.newest <= after:
                if self._closed:
                    raise StoreClosed
                await self._waiters.park()
        finally:
            self.waiting -= 1
        return self.newest

    def calm_down(self) -> None:
        """The writer has looked: if nobody waits any more, it need not look again."""
        self.wanted = self.waiting > 0

    def close(self) -> None:
        """Nothing will be published any more."""
        self._closed = True
        self._waiters.unpark_all()
