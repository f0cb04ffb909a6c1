"""The store in a file that other processes may have open too: a writer's thread, and readers beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast, final

import trio
from attrs import define, field

from trioflow.store.batch import call
from trioflow.store.connection import Connection
from trioflow.store.feed import Feed
from trioflow.store.periodic import Periodic
from trioflow.store.store import Durability, Item, Judge, R, Result, Store, Tx
from trioflow.store.writer import Writer

READERS: Final = 2
"""How many reads run at a time."""


@final
@define(eq=False)
class FileStore(Store):
    """A store that any number of processes may open."""

    _writer: Writer
    _feed: Feed
    _connect_reader: Callable[[], Connection]
    _closed: bool = False
    """No reader is kept for later."""
    _idle_readers: list[Connection] = field(factory=list[Connection])
    _reading: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(READERS))

    async def transact(self, fn: Callable[[Tx], R], *, durability: Durability = Durability.SYNCED) -> R:
        """See `Store.transact`."""
        return cast("R", await self._writer.ask(call, fn, durability))

    async def coalesce(
        self, judge: Judge[Item, Result], item: Item, *, durability: Durability = Durability.SYNCED
    ) -> Result:
        """See `Store.coalesce`."""
        return cast("Result", await self._writer.ask(judge, item, durability))

    async def read(self, fn: Callable[[Tx], R]) -> R:
        """See `Store.read`."""
        self._writer.check_open()
        return await trio.to_thread.run_sync(self._snapshot, fn, limiter=self._reading)

    async def wait_for_change(self, after: int) -> int:
        """See `Store.wait_for_change`."""
        return await self._writer.wait_for_change(after)

    def last_change(self) -> int:
        """See `Store.last_change`."""
        return self._feed.newest

    def every(
        self, seconds: float, fn: Callable[[Tx], object], *, durability: Durability = Durability.RELAXED
    ) -> Periodic:
        """See `Store.every`."""
        return self._writer.every(seconds, fn, durability)

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        if self._writer.forked:
            return
        with trio.CancelScope(shield=True):
            await self._writer.aclose()
            self._closed = True
            await trio.to_thread.run_sync(self._close_readers)

    def _snapshot(self, fn: Callable[[Tx], R]) -> R:
        self._writer.check_open()
        reader = self._idle_readers.pop() if self._idle_readers else self._connect_reader()
        try:
            return reader.snapshot(fn)
        finally:
            self._idle_readers.append(reader)
            if self._closed:
                self._close_readers()

    def _close_readers(self) -> None:
        while self._idle_readers:
            self._idle_readers.pop().close()
