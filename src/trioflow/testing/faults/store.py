"""A store that fails when it is told to: before its commit or after it, because it is full, or only late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, final

import trio
from attrs import define, field, frozen

from trioflow.errors import StoreError, StoreFull
from trioflow.store.periodic import Periodic
from trioflow.store.store import Durability, Item, Judge, R, Result, Store, Tx

Kind = Literal["read", "write"]


@final
@frozen(kw_only=True)
class StoreFault:
    """What goes wrong with one call of a store."""

    seconds: float = 0.0
    """How much later than it was asked for it is done."""
    before: StoreError | None = None
    """Raised in place of doing it."""
    after: StoreError | None = None
    """Raised once it is done, and committed: the answer is lost, and nobody can tell."""


SOUND = StoreFault()
"""Nothing goes wrong."""

StorePlan: TypeAlias = Callable[[int, Kind], StoreFault]
"""What goes wrong with which call, given its number, from 1, and what it is."""


def fail_call(number: int, side: Literal["before", "after"] = "before") -> StorePlan:
    """One call fails, before its commit or after it; all others go well."""

    def plan(asked: int, _: Kind) -> StoreFault:
        if asked != number:
            return SOUND
        error = StoreError(f"call {number} of the store was made to fail {side} its commit")
        return StoreFault(before=error) if side == "before" else StoreFault(after=error)

    return plan


def full_after(calls: int) -> StorePlan:
    """The disk is full after so many calls: nothing more can be written, all can be read."""

    def plan(asked: int, kind: Kind) -> StoreFault:
        return StoreFault(before=StoreFull()) if kind == "write" and asked > calls else SOUND

    return plan


def slow(seconds: float) -> StorePlan:
    """Each call takes so many seconds longer."""
    late = StoreFault(seconds=seconds)
    return lambda _, __: late


@final
@define(eq=False)
class FaultyStore(Store):
    """A store over another one, in which calls go wrong as planned.

    What is run periodically (`Store.every`) is no call, and goes well. Closing it closes the other one.
    """

    inner: Store
    plan: StorePlan
    calls: int = field(default=0, init=False)
    """Reads and writes that were asked for."""

    async def transact(self, fn: Callable[[Tx], R], *, durability: Durability = Durability.SYNCED) -> R:
        """See `Store.transact`."""
        fault = await self._begun("write")
        answer = await self.inner.transact(fn, durability=durability)
        return _answered(answer, fault)

    async def coalesce(
        self, judge: Judge[Item, Result], item: Item, *, durability: Durability = Durability.SYNCED
    ) -> Result:
        """See `Store.coalesce`."""
        fault = await self._begun("write")
        answer = await self.inner.coalesce(judge, item, durability=durability)
        return _answered(answer, fault)

    async def read(self, fn: Callable[[Tx], R]) -> R:
        """See `Store.read`."""
        fault = await self._begun("read")
        return _answered(await self.inner.read(fn), fault)

    async def wait_for_change(self, after: int) -> int:
        """See `Store.wait_for_change`."""
        return await self.inner.wait_for_change(after)

    def last_change(self) -> int:
        """See `Store.last_change`."""
        return self.inner.last_change()

    def every(
        self, seconds: float, fn: Callable[[Tx], object], *, durability: Durability = Durability.RELAXED
    ) -> Periodic:
        """See `Store.every`."""
        return self.inner.every(seconds, fn, durability=durability)

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        await self.inner.aclose()

    async def _begun(self, kind: Kind) -> StoreFault:
        self.calls += 1
        fault = self.plan(self.calls, kind)
        if fault.seconds:
            await trio.sleep(fault.seconds)
        if fault.before is not None:
            await trio.lowlevel.checkpoint()
            raise fault.before
        return fault


def _answered(answer: R, fault: StoreFault) -> R:
    if fault.after is not None:
        raise fault.after
    return answer
