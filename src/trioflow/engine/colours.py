"""Colours: which kind of function may be called how, and what a call is asked to give back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import trio

from trioflow.engine.futures import Future
from trioflow.errors import FlowDefinitionTypeError, InvalidReturnState, WrongColour


def check_is_async(kind: str, name: str, fn: Callable[..., Any]) -> None:
    """Refuse what cannot be awaited.

    Raises:
        FlowDefinitionTypeError: ``fn`` is a sync function.
    """
    if not (inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__)):
        raise FlowDefinitionTypeError(
            f"{kind} {name!r} is made of a sync function: define it with `async def`"
        )


def check_is_awaited(kind: str, name: str) -> None:
    """Refuse a call from where nothing can be awaited.

    Raises:
        WrongColour: no Trio program runs in this thread.
    """
    if not trio.lowlevel.in_trio_run():
        raise WrongColour(
            f"{kind} {name!r} is async: start it with trio.run({name}, ...), or await it in a Trio program"
        )


def checked_return_state(kind: str, return_state: object) -> bool:
    """Give ``return_state`` back.

    Raises:
        InvalidReturnState: it is neither True nor False.
    """
    if not isinstance(return_state, bool):
        raise InvalidReturnState(f"Invalid return type for {kind} engine {return_state!r}.")
    return return_state


def given_back(future: Future[Any], *, return_state: bool) -> Any:
    """What a call that has ended gives back: its state, or its result.

    Raises:
        BaseException: what the run raised, unless its state is asked for.
    """
    return future.state if return_state else future.result_nowait()
