"""Colours: which kind of function may be called how, and what a call is asked to give back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import trio

from trioflow.engine.blocking import current_portal
from trioflow.engine.context import innermost
from trioflow.engine.futures import Future
from trioflow.engine.options import function_name
from trioflow.errors import InvalidReturnState, WrongColour


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether a call of it is to be awaited."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__)


def check_is_awaited(kind: str, fn: Callable[..., Any]) -> None:
    """Refuse the call of an async function from where nothing can be awaited.

    Raises:
        WrongColour: this is sync code; it names the right call.
    """
    if trio.lowlevel.in_trio_run():
        return
    name = function_name(fn)
    if current_portal().is_open() or innermost() is not None:
        raise WrongColour(f"{kind} {name!r} is async: from sync code, call {name}.submit(...).result()")
    raise WrongColour(
        f"{kind} {name!r} is async: start it with trio.run({name}, ...), or await it in a Trio program"
    )


def check_is_plain(kind: str, fn: Callable[..., Any]) -> None:
    """Refuse the call of a sync function from where it would block the loop.

    Raises:
        WrongColour: this is async code; it names the right call.
    """
    if not trio.lowlevel.in_trio_run():
        return
    name = function_name(fn)
    if innermost() is not None:
        raise WrongColour(f"{kind} {name!r} is sync: from async code, call `await {name}.submit(...)`")
    raise WrongColour(
        f"{kind} {name!r} is sync: call it plainly in a script, or `await trioflow.run({name}, ...)` "
        "in a Trio program"
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
