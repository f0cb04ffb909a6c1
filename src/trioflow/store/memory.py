"""The store for tests and simulations: the same transactions on one connection, run inline on the event loop.

No thread, no waiting, no chance: each call has one checkpoint, before it takes effect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast, final

import trio
from attrs import define

from trioflow.errors import StoreClosed
from trioflow.store.batch import Request, call, run_batch
from trioflow.store.connection import Connection
from trioflow.store.feed import Feed
from trioflow.store.periodic import Periodic, Timetable, report_failures
from trioflow.store.store import Durability, Item, Judge, R, Result, Store, Tx


@final
@define(eq=False)
class MemoryStore(Store):
    """A store that lives as long as its object does."""

    _connection: Connection
    _timetable: Timetable
    _feed: Feed
    _closed: bool = False

    async def transact(self, fn: Callable[[Tx], R], *, durability: Durability = Durability.SYNCED) -> R:
        """See `Store.transact`."""
        await self._checkpoint()
        return cast("R", self._run(Request(call, fn, durability)))

    async def coalesce(
        self, judge: Judge[Item, Result], item: Item, *, durability: Durability = Durability.SYNCED
    ) -> Result:
        """See `Store.coalesce`."""
        await self._checkpoint()
        return cast("Result", self._run(Request(judge, item, durability)))

    async def read(self, fn: Callable[[Tx], R]) -> R:
        """See `Store.read`."""
        await self._checkpoint()
        return self._connection.snapshot(fn)

    async def wait_for_change(self, after: int) -> int:
        """See `Store.wait_for_change`."""
        self._check_open()
        return await self._feed.wait(after)

    def last_change(self) -> int:
        """See `Store.last_change`."""
        return self._feed.newest

    def every(
        self, seconds: float, fn: Callable[[Tx], object], *, durability: Durability = Durability.RELAXED
    ) -> Periodic:
        """See `Store.every`. Here it is run before the next transaction once its time has come."""
        self._check_open()
        return self._timetable.add(seconds, fn, durability)

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        await trio.lowlevel.cancel_shielded_checkpoint()
        if not self._closed:
            self._closed = True
            self._feed.close()
            self._connection.close()

    async def _checkpoint(self) -> None:
        await trio.lowlevel.checkpoint()
        self._check_open()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed

    @trio.lowlevel.enable_ki_protection
    def _run(self, request: Request) -> Any:
        with self._timetable.lock:
            due = self._timetable.take_due()
        if due:
            self._commit(due)
            report_failures(due)
        self._commit([request])
        if request.error is not None:
            raise request.error
        return request.answer

    def _commit(self, requests: Sequence[Request]) -> None:
        self._feed.publish(run_batch(self._connection, requests))
