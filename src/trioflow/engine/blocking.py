"""Blocking: sync user code runs in a worker thread, and calls back into the loop through the portal.

The portal is one object, so that a simulation can put its own in place. Knows threads and awaitables, not runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Protocol, TypeVar, cast, final

import trio
from attrs import frozen

from trioflow.errors import WrongColour

T = TypeVar("T")


class Portal(Protocol):
    """Between the loop and the threads in which sync code runs."""

    async def enter(self, function: Callable[[], T]) -> T:
        """Make the call in a thread, with the caller's context; what it returns, once the thread has let go.

        A cancellation does not end it: code in the thread meets that in its next `call`.
        """
        ...

    def is_open(self) -> bool:
        """Whether this thread is one that can `call` back."""
        ...

    def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """From such a thread: have the call awaited in the loop, with this thread's context; what that gives.

        Raises:
            trio.Cancelled: whoever waits for this thread is cancelled.
        """
        ...


@final
@frozen(eq=False)
class TrioPortal:
    """Trio's own worker threads, any number of them: how many may be at work is for task runners to say."""

    async def enter(self, function: Callable[[], T]) -> T:
        """As `Portal.enter`."""
        # A limiter that nobody shares: who waited for a token here would wait on the clock of its run.
        return await trio.to_thread.run_sync(
            function, limiter=trio.CapacityLimiter(1), thread_name="trioflow sync code"
        )

    def is_open(self) -> bool:
        """As `Portal.is_open`: a thread that user code has from Trio is as good as ours."""
        try:
            trio.from_thread.check_cancelled()
        except RuntimeError:
            return False
        except trio.Cancelled:
            return True
        return True

    def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """As `Portal.call`."""
        return trio.from_thread.run(function)


_portal: ContextVar[Portal] = ContextVar("trioflow portal", default=TrioPortal())  # noqa: B039 - it is frozen


def current_portal() -> Portal:
    """The portal that sync code goes through."""
    return _portal.get()


@contextmanager
def use_portal(portal: Portal) -> Generator[Portal]:
    """Within the block, and in what is started from it, sync code goes through ``portal``."""
    before = _portal.set(portal)
    try:
        yield portal
    finally:
        _portal.reset(before)


async def in_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a sync function in a thread; what it returns. A generator is run to its end there, and is a list.

    Raises:
        trio.Cancelled: the thread has ended, but too late.
        WrongColour: the function returned a coroutine.
        BaseException: what the function raised.
    """
    value: T = await current_portal().enter(partial(_called, partial(function, *args, **kwargs)))
    await trio.lowlevel.checkpoint_if_cancelled()
    return value


def _called(function: Callable[[], Any]) -> Any:
    value = function()
    if isinstance(value, Generator):
        return list(cast("Generator[Any]", value))
    if inspect.iscoroutine(value):
        value.close()
        raise WrongColour("a sync function returned a coroutine: define it with `async def`")
    return value
