"""Changes: tells those who wait what has happened, be it in this process or in another.

What this process commits is noted by the judge as it is written, so that nobody has to read it back; what other
processes commit shows as numbers that were not noted, and is read from the store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import final
from uuid import UUID

import trio
from attrs import define, field

from trioflow.core.states import StateType
from trioflow.errors import StoreClosed, StoreError
from trioflow.store.store import Store, Tx
from trioflow.wire.filters import ChangeFilter
from trioflow.wire.replies import Change, Changes

logger = logging.getLogger("trioflow.orchestrator")

READ_AGAIN_SECONDS = 1.0
"""How long a read of others' changes that failed is left before it is tried again."""

_NEWS = "SELECT number, run_id, root_id, is_flow_run, type, name FROM states WHERE number > ? ORDER BY number"


@final
@define(eq=False)
class _Listener:
    """One waiting call; woken at most once."""

    wants: Callable[[Change], bool]
    woken: trio.Event = field(factory=trio.Event)
    heard: list[Change] = field(factory=list[Change])

    def tell(self, changes: Iterable[Change]) -> None:
        self.heard.extend(filter(self.wants, changes))
        if self.heard:
            self.woken.set()


def fits(which: ChangeFilter, change: Change) -> bool:
    """Whether the filter means this change."""
    if which.flow_runs_only and not change.is_flow_run:
        return False
    return not which.root_ids or change.root_id in which.root_ids


@final
@define(eq=False)
class ChangeHub:
    """Knows who listens. Its `pump` must run for others' changes, and for anyone's, to be heard."""

    store: Store
    _seen: int = 0
    _noted: dict[int, Change | None] = field(factory=dict[int, Change | None])
    """What this process wrote under each number that was not pumped yet; None for what is no transition."""
    _listeners: set[_Listener] = field(factory=set[_Listener])

    def note(self, written: Mapping[int, Change | None]) -> None:
        """This is about to be committed by this process. Called on the writer's thread."""
        self._noted.update(written)

    def forget(self) -> None:
        """A commit failed: what was noted may never have happened."""
        self._noted.clear()

    async def wait(self, after: int, which: ChangeFilter) -> Changes:
        """See `trioflow.client.client.Client.changes`."""
        return await self.wait_for(partial(fits, which), after)

    async def wait_for(self, wants: Callable[[Change], bool], after: int) -> Changes:
        """Waits until something that is wanted has happened after number ``after``, and tells what."""
        listener = _Listener(wants)
        self._listeners.add(listener)
        try:
            if after < self._seen:
                listener.tell(await self._read(after))
            await listener.woken.wait()
        finally:
            self._listeners.discard(listener)
        return Changes(listener.heard[-1].number, tuple(listener.heard))

    async def pump(self) -> None:
        """Hear of what is committed and tell the listeners, until cancelled.

        While the database cannot be read nobody hears anything; then they hear all of it.

        Raises:
            StoreClosed: the store was closed.
        """
        self._seen = self.store.last_change()
        failed = False
        while True:
            newest = await self.store.wait_for_change(self._seen)
            try:
                await self._hear(newest)
            except StoreClosed:
                raise
            except StoreError:
                if not failed:
                    logger.exception("changes cannot be read; trying again each %g s", READ_AGAIN_SECONDS)
                failed = True
                await trio.sleep(READ_AGAIN_SECONDS)
            else:
                failed = False

    async def _hear(self, newest: int) -> None:
        """Tell the listeners of what is new up to that number."""
        numbers = range(self._seen + 1, newest + 1)
        all_noted = all(number in self._noted for number in numbers)
        noted = [self._noted.pop(number, None) for number in numbers]
        if self._listeners:
            news = [change for change in noted if change] if all_noted else await self._read(self._seen)
            for listener in list(self._listeners):
                listener.tell(news)
        self._seen = newest

    async def _read(self, after: int) -> list[Change]:
        def news(tx: Tx) -> list[Change]:
            return [_change_from(row) for row in tx.execute(_NEWS, (after,))]

        return await self.store.read(news)


def _change_from(row: tuple[int, bytes, bytes, int, str, str]) -> Change:
    number, run_id, root_id, is_flow_run, type_, name = row
    return Change(
        number=number,
        run_id=UUID(bytes=run_id),
        root_id=UUID(bytes=root_id),
        is_flow_run=bool(is_flow_run),
        type=StateType(type_),
        name=name,
    )
