"""Delays: callbacks that run later, or at once when the runner ends, rather than never."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias, final

import trio
from attrs import define, field

logger = logging.getLogger("trioflow.runner")

Callback: TypeAlias = Callable[[], Awaitable[object] | object]


@final
@define(eq=False)
class Delays:
    """Runs callbacks in a nursery, sync or async ones (LC-06), each after its delay."""

    _nursery: trio.Nursery
    _pending: set[trio.CancelScope] = field(factory=set[trio.CancelScope], init=False)
    """Around the sleep of each callback that was not called yet."""
    _hurried: bool = field(default=False, init=False)

    def call_later(self, seconds: float, callback: Callback) -> None:
        """Have ``callback`` called in so many seconds; at once, when the runner ends before (LC-04, LC-05).

        What it raises is logged.
        """
        sleep = trio.CancelScope()
        self._pending.add(sleep)
        if self._hurried:
            sleep.cancel()
        self._nursery.start_soon(self._call_after, sleep, seconds, callback)

    def hurry(self) -> None:
        """From now on, nothing is delayed."""
        self._hurried = True
        for sleep in self._pending:
            sleep.cancel()

    async def _call_after(self, sleep: trio.CancelScope, seconds: float, callback: Callback) -> None:
        with sleep:
            await trio.sleep(seconds)
        self._pending.discard(sleep)
        try:
            called = callback()
            if inspect.isawaitable(called):
                await called
        except Exception:
            logger.exception("A delayed callback failed: %r", callback)
