"""Calls the user's function: in a nursery of its own, under its deadline, and tells how it ended. Decides nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import trio
from attrs import frozen

from trioflow.engine.context import RunContext
from trioflow.engine.crashes import root_cause
from trioflow.engine.edges import own_nursery
from trioflow.engine.results import Raised, Returned


@frozen
class Expired:
    """The function had not ended, or something that it started had not, when its time was over."""

    error: TimeoutError
    """Says whose time, and how long it was; its cause is the cancellation."""


Ended = Returned | Raised | Expired


class FlowTimedOut(TimeoutError):
    """What a task call raises in a flow whose time is over: the only way to end code that ignores cancellation."""


async def call(
    function: Callable[[], Awaitable[Any]], context: RunContext, seconds: float | None, what: str
) -> Ended:
    """How the function ended, once everything that it submitted has ended too.

    Args:
        function: called without arguments.
        context: gets the nursery and the deadline of this call.
        seconds: how long it may take; None is for ever.
        what: whose time it is, for the error: ``Flow run``, ``Task run``.

    Raises:
        BaseException: what is nobody's outcome: a cancellation from outside, an interrupt, an exit.
    """
    ended: Ended | None = None
    cancelled: BaseException | None = None
    deadline = trio.current_time() + (inf if seconds is None else seconds)
    try:
        with trio.CancelScope(deadline=deadline) as context.deadline:
            try:
                ended = await _in_nursery(function, context)
            except trio.Cancelled as echo:
                cancelled = echo
                raise
    except Exception as error:  # noqa: BLE001 - the outcome of user code: what is left when a cancellation came with it
        return Raised(root_cause(error))
    match ended:
        case None:
            return Expired(_timeout(what, seconds, cancelled))
        case Raised(FlowTimedOut() as late):
            return Expired(_timeout(what, seconds, late))
        case _:
            return ended


async def _in_nursery(function: Callable[[], Awaitable[Any]], context: RunContext) -> Ended:
    async with own_nursery() as context.nursery:
        try:
            return Returned(await function())
        except Exception as error:  # noqa: BLE001 - the outcome of user code; what it submitted goes on
            return Raised(error)


def _timeout(what: str, seconds: float | None, cause: BaseException | None) -> TimeoutError:
    error = TimeoutError(f"{what} exceeded timeout of {seconds or inf:g} seconds")
    error.__cause__ = cause
    return error
