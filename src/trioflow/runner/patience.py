"""Patience: a request of a run's process waits out an outage of the store, as long as its runner renews the lease."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import trio

from trioflow.client.client import Client
from trioflow.errors import TrioflowError
from trioflow.loops import may_pass
from trioflow.wire.endpoints import Endpoint

Request = TypeVar("Request")
Reply = TypeVar("Reply")

logger = logging.getLogger("trioflow.runner")

_FIRST_BACKOFF, _LAST_BACKOFF = 0.1, 5.0


async def asked_until_answered(client: Client, endpoint: Endpoint[Request, Reply], request: Request) -> Reply:
    """The reply, once the store can give it.

    A request can be repeated: a run is created once for its id, and a transition id gets the answer that was written.

    Raises:
        TrioflowError: what does not go away by waiting.
    """
    return await until_answered(partial(client.call, endpoint, request))


async def until_answered(ask: Callable[[], Awaitable[Reply]]) -> Reply:
    """What is asked for, which can be asked again, once the store can give it. It is said once that somebody waits.

    Raises:
        TrioflowError: what does not go away by waiting.
    """
    backoff = _FIRST_BACKOFF
    while True:
        try:
            return await ask()
        except TrioflowError as error:
            if not may_pass(error):
                raise
            if backoff == _FIRST_BACKOFF:
                logger.warning("A run waits, for its words cannot be stored: %s", error)
        await trio.sleep(backoff)
        backoff = min(2 * backoff, _LAST_BACKOFF)
