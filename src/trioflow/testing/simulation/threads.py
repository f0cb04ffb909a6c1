"""Threads: what is sent to one takes some virtual time, drawn, and is then done at once, on the loop.

A real thread under virtual time is a trap: the clock jumps over any deadline while it works. What is sent to a thread
here is sync code of ours (a result to a file, a sync hook), which calls nobody back. User code that does goes through
the portal, see `baton`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, final

import trio
from attrs import define

T = TypeVar("T")

_SECONDS = (0.0001, 0.02)
"""How long a thread's work takes, at least and at most."""


@final
@define(eq=False)
class InlineThreads:
    """Stands in for `trio.to_thread.run_sync`, with its cancellation."""

    _chance: random.Random

    async def run_sync(
        self,
        fn: Callable[..., T],
        *args: Any,
        thread_name: str | None = None,  # noqa: ARG002 - Trio's signature
        abandon_on_cancel: bool = False,
        limiter: trio.CapacityLimiter | None = None,
    ) -> T:
        """What the call returns. Abandoned, it may have been made, and may not: nobody knows."""
        await trio.lowlevel.checkpoint_if_cancelled()
        async with limiter or _UNLIMITED:
            if abandon_on_cancel:
                await self._work_or_abandon(fn, args)
            else:
                with trio.CancelScope(shield=True):
                    await trio.sleep(self._chance.uniform(*_SECONDS))
            return fn(*args)

    async def _work_or_abandon(self, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            await trio.sleep(self._chance.uniform(*_SECONDS))
        except trio.Cancelled:
            if self._chance.random() < 0.5:
                with suppress(Exception):
                    fn(*args)
            raise


@contextmanager
def inline_threads(threads: InlineThreads) -> Generator[None]:
    """Within the block, ``trio.to_thread.run_sync`` is that of ``threads``."""
    before = trio.to_thread.run_sync
    trio.to_thread.run_sync = threads.run_sync  # type: ignore[assignment]
    try:
        yield
    finally:
        trio.to_thread.run_sync = before


class _Unlimited:
    async def __aenter__(self) -> None:
        await trio.lowlevel.checkpoint()

    async def __aexit__(self, *_: object) -> None:
        await trio.lowlevel.cancel_shielded_checkpoint()


_UNLIMITED = _Unlimited()
