"""A process, as a trial has it: a view of a store that can be cut off, and the client that speaks through it.

Killed, its tasks go on for as long as it takes them to notice, but nothing that they ask takes effect any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, final

import trio
from attrs import define, field, frozen

from trioflow.client.client import Client
from trioflow.client.connect import serve_store
from trioflow.store.periodic import Periodic
from trioflow.store.store import Durability, Item, Judge, R, Result, Store, Tx


class Killed(BaseException):
    """The process that asks this is dead. No `Exception`: nobody may take it for an answer."""


@final
@define(eq=False)
class FencedStore(Store):
    """One process's view of a store."""

    inner: Store
    look: Callable[[Tx], object]
    """Called in each transaction, once it has written all that it will."""
    killed: bool = field(default=False, init=False)
    calls: int = field(default=0, init=False)
    """Transactions and reads that were asked for."""
    _periodic: list[Periodic] = field(factory=list[Periodic], init=False)

    def kill(self) -> None:
        """From now on nothing that is asked here takes effect, what waits already included."""
        self.killed = True
        for periodic in self._periodic:
            periodic.cancel()

    def check(self) -> None:
        """Raises `Killed` in a dead process."""
        if self.killed:
            raise Killed

    async def transact(self, fn: Callable[[Tx], R], *, durability: Durability = Durability.SYNCED) -> R:
        """See `Store.transact`."""
        self.check()
        self.calls += 1
        return await self.inner.transact(partial(self._write, fn), durability=durability)

    async def coalesce(
        self, judge: Judge[Item, Result], item: Item, *, durability: Durability = Durability.SYNCED
    ) -> Result:
        """See `Store.coalesce`."""
        self.check()
        self.calls += 1
        fenced: Judge[Item, Result] = _FencedJudge(judge, self)
        return await self.inner.coalesce(fenced, item, durability=durability)

    async def read(self, fn: Callable[[Tx], R]) -> R:
        """See `Store.read`."""
        self.check()
        self.calls += 1
        return await self.inner.read(partial(self._read, fn))

    async def wait_for_change(self, after: int) -> int:
        """See `Store.wait_for_change`."""
        self.check()
        return await self.inner.wait_for_change(after)

    def last_change(self) -> int:
        """See `Store.last_change`."""
        self.check()
        return self.inner.last_change()

    def every(
        self, seconds: float, fn: Callable[[Tx], object], *, durability: Durability = Durability.RELAXED
    ) -> Periodic:
        """See `Store.every`."""
        self.check()
        periodic = self.inner.every(seconds, fn, durability=durability)
        self._periodic.append(periodic)
        return periodic

    async def aclose(self) -> None:
        """The process has left; the store stays, for the next one."""
        await trio.lowlevel.cancel_shielded_checkpoint()
        self.kill()

    def _read(self, fn: Callable[[Tx], R], tx: Tx) -> R:
        self.check()
        return fn(tx)

    def _write(self, fn: Callable[[Tx], R], tx: Tx) -> R:
        self.check()
        answer = fn(tx)
        self.look(tx)
        return answer


@final
@frozen
class _FencedJudge:
    """A judge that is equal for equal judges of one process."""

    judge: Callable[..., Any]
    store: FencedStore

    def __call__(self, tx: Tx, items: Sequence[Any]) -> Sequence[Any]:
        self.store.check()
        answers = list(self.judge(tx, items))
        self.store.look(tx)
        return answers


@final
@define(eq=False)
class Process:
    """What the runs of one process speak through."""

    store: FencedStore
    client: Client
    _scope: trio.CancelScope

    def kill(self) -> None:
        """As ``kill -9``: no last words."""
        self.store.kill()
        self._scope.cancel()


async def run_process(
    store: Store, look: Callable[[Tx], object], task_status: trio.TaskStatus[Process]
) -> None:
    """Be a process that has opened this store: starts with it, and ends when it is killed or cancelled.

    ``look`` is called in each of its transactions.
    """
    fenced = FencedStore(store, look)
    try:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                client = await nursery.start(serve_store, fenced)
                task_status.started(Process(fenced, client, scope))
    except* Killed:
        pass
