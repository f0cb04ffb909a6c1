"""A client whose calls go wrong on their way: late, lost, repeated, overtaken, or answered with an error.

It wraps any client, so that what is asked of a store in this process, over a link or over a network suffers alike.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias, TypeVar, final

import trio
from attrs import define, evolve, field, frozen

from trioflow.client.client import Client
from trioflow.errors import LinkClosed, StoreError
from trioflow.wire.endpoints import Endpoint
from trioflow.wire.filters import ChangeFilter
from trioflow.wire.replies import Changes

Request = TypeVar("Request")
Reply = TypeVar("Reply")

_PATIENCE_SECONDS = 30.0


@final
@frozen(kw_only=True)
class ClientFault:
    """What goes wrong with one call. Several things may."""

    seconds: float = 0.0
    """How long it is on its way before it arrives."""
    times: int = 1
    """How often it arrives; the first answer is given. 0: it never does, and ``error`` must say so."""
    is_overtaken: bool = False
    """It arrives after a later call was answered, or after 30 seconds in which there was none."""
    answer_seconds: float = 0.0
    """How long the answer, or the error, is on its way back."""
    error: Exception | None = None
    """Raised in place of the answer."""


UNHARMED = ClientFault()
"""Nothing goes wrong."""

ClientPlan: TypeAlias = Callable[[int, Endpoint[Any, Any]], ClientFault]
"""What goes wrong with which call, given its number, from 1, and what is asked for."""


def late(seconds: float) -> ClientFault:
    """It arrives so many seconds later."""
    return ClientFault(seconds=seconds)


def dropped(seconds: float = _PATIENCE_SECONDS) -> ClientFault:
    """It never arrives; after so many seconds of silence that is told."""
    return ClientFault(
        times=0, answer_seconds=seconds, error=LinkClosed(f"no answer within {seconds:g} seconds")
    )


def unanswered(seconds: float = _PATIENCE_SECONDS) -> ClientFault:
    """It is done, but its answer is lost; after so many seconds of silence that is told."""
    return evolve(dropped(seconds), times=1)


def repeated(times: int = 2) -> ClientFault:
    """It arrives so often."""
    return ClientFault(times=times)


def overtaken() -> ClientFault:
    """It arrives after a later one."""
    return ClientFault(is_overtaken=True)


def refused(status: int = 503) -> ClientFault:
    """It is answered as an overloaded or broken server does: with a 5xx or a 429, and nothing is done."""
    return ClientFault(times=0, error=StoreError(f"the server answered {status}; nothing has changed"))


def garbled() -> ClientFault:
    """It is done, but what comes back makes no sense."""
    return ClientFault(error=LinkClosed("the answer makes no sense"))


def at_calls(numbers: Collection[int], fault: ClientFault) -> ClientPlan:
    """These calls, counted from 1, suffer this."""
    return lambda number, _: fault if number in numbers else UNHARMED


def at_each(every: int, fault: ClientFault) -> ClientPlan:
    """Each so-manieth call suffers this."""
    return lambda number, _: fault if number % every == 0 else UNHARMED


@final
@define(eq=False)
class FaultyClient:
    """A client over another one, whose calls go wrong as planned. Waiting for changes does not."""

    inner: Client
    plan: ClientPlan
    calls: int = field(default=0, init=False)
    """That were made."""
    _overtaking: trio.Event = field(factory=trio.Event, init=False)
    """Set when a call is answered, and then replaced."""

    async def call(self, endpoint: Endpoint[Request, Reply], request: Request) -> Reply:
        """See `Client.call`.

        Raises:
            Exception: the planned error, or whatever the other client raises.
        """
        self.calls += 1
        fault = self.plan(self.calls, endpoint)
        await trio.sleep(fault.seconds)
        if fault.is_overtaken:
            await self._let_pass()
        replies = [await self.inner.call(endpoint, request) for _ in range(fault.times)]
        await trio.sleep(fault.answer_seconds)
        if fault.error is not None:
            raise fault.error
        overtaking, self._overtaking = self._overtaking, trio.Event()
        overtaking.set()
        return replies[0]

    async def changes(self, after: int, which: ChangeFilter) -> Changes:
        """See `Client.changes`."""
        return await self.inner.changes(after, which)

    async def now(self) -> int:
        """See `Client.now`."""
        return await self.inner.now()

    async def _let_pass(self) -> None:
        with trio.move_on_after(_PATIENCE_SECONDS):
            await self._overtaking.wait()
