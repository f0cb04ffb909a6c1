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
    """Wakes its waiters when a number is published. Only `waiting` is for other threads too."""

    newest: int
    waiting: int = 0
    """How many wait: while there are any, the writer looks for other processes' changes."""
    _closed: bool = False
    _waiters: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    def publish(self, number: int) -> None:
        """``number`` has been committed; older news change nothing."""
        if number > self.newest:
            self.newest = number
            self._waiters.unpark_all()

    async def wait(self, after: int, first_waits: Callable[[], object] = lambda: None) -> int:
        """The newest number, once it is greater than ``after``. If nobody was waiting, calls ``first_waits``.

        Raises:
            StoreClosed: `close` was called.
        """
        await trio.lowlevel.checkpoint()
        self.waiting += 1
        if self.waiting == 1:
            first_waits()
        try:
            while self.newest <= after:
                if self._closed:
                    raise StoreClosed
                await self._waiters.park()
        finally:
            self.waiting -= 1
        return self.newest

    def close(self) -> None:
        """Nothing will be published any more."""
        self._closed = True
        self._waiters.unpark_all()
