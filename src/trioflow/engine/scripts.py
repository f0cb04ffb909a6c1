"""Scripts: sync code calls what is async underneath, from within a run or, in a script, by a `trio.run` of its own.

Such a `trio.run` minds Ctrl-C. The first one cancels, and everything says its last words. Code in a thread may hold on
to its run; then a second one has all runs CRASHED and ends the process with 130, and a third one ends it at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, NoReturn, TypeVar

import trio

from trioflow.engine.blocking import Portal, current_portal
from trioflow.engine.context import innermost
from trioflow.engine.crashes import INTERRUPTED
from trioflow.engine.drive import crash_all
from trioflow.engine.edges import own_nursery
from trioflow.errors import OutsideFlow

T = TypeVar("T")

_LOGGER = logging.getLogger("trioflow.scripts")
_EXIT_CODE = 128 + signal.SIGINT


def waited(function: Callable[[], Awaitable[T]]) -> T:
    """From sync code: what awaiting the call gives.

    Raises:
        KeyboardInterrupt: there is no run around, and the call was ended by Ctrl-C.
        OutsideFlow: there is one, but this thread is none of its.
        trio.Cancelled: there is one, and it is cancelled.
        BaseException: what the call raises.
    """
    if (portal := _portal_here()) is not None:
        return portal.call(function)
    return trio.run(_minding_ctrl_c if _is_ctrl_c_ours() else _plainly, function)


def at_loop(function: Callable[[], T]) -> T:
    """From anywhere: what the call, which never waits, gives on the thread of the loop; right here if there is none.

    Raises:
        OutsideFlow: there is a run around, but this thread is none of its.
        trio.Cancelled: this is a thread whose run is cancelled.
        BaseException: what the call raises.
    """
    if trio.lowlevel.in_trio_run() or (portal := _portal_here()) is None:
        return function()
    return portal.call(partial(_and_heard, function))


def _portal_here() -> Portal | None:
    """What leads from this thread to the loop; None in a script."""
    portal = current_portal()
    if portal.is_open():
        return portal
    if innermost() is not None:
        raise OutsideFlow(
            "this thread is unknown to the run that its context comes from: have the run start a thread, "
            "by submitting a sync task"
        )
    return None


async def _and_heard(function: Callable[[], T]) -> T:
    value = function()  # First, since it knows whose time is over.
    await trio.lowlevel.checkpoint_if_cancelled()
    return value


# --- a trio.run of its own


def _is_ctrl_c_ours() -> bool:
    """Whether Ctrl-C would otherwise do what Python has it do; a program with a handler of its own minds it itself."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


async def _plainly(function: Callable[[], Awaitable[T]]) -> T:
    return await function()


async def _minding_ctrl_c(function: Callable[[], Awaitable[T]]) -> T:
    scope = trio.CancelScope()
    with trio.open_signal_receiver(signal.SIGINT) as interrupts:
        async with own_nursery() as nursery:
            nursery.start_soon(_end_it, interrupts, scope)
            value = await _uninterrupted(function, scope)
            nursery.cancel_scope.cancel()
            return value


async def _uninterrupted(function: Callable[[], Awaitable[T]], scope: trio.CancelScope) -> T:
    with scope:
        value = await function()
        if not scope.cancel_called:
            return value
    raise KeyboardInterrupt


async def _end_it(interrupts: AsyncIterator[int], scope: trio.CancelScope) -> None:
    await anext(interrupts)
    _LOGGER.warning("Interrupted: sync code ends at its next call of a task; Ctrl-C again ends it at once.")
    scope.cancel(INTERRUPTED)
    await anext(interrupts)
    await crash_at_once(interrupts)


async def crash_at_once(interrupts: AsyncIterator[object]) -> NoReturn:
    """Have all runs of this loop CRASHED, and end the process with 130. One more interrupt waits for none of that."""
    async with own_nursery() as nursery:
        nursery.start_soon(_crash)
        await anext(interrupts)
        _exit()


async def _crash() -> None:
    await crash_all(KeyboardInterrupt())
    _exit()


def _exit() -> NoReturn:
    # Threads cannot be ended, and Python would wait for some of them.
    files: list[Any] = [sys.stdout, sys.stderr]
    for file in files:
        if file is not None:
            file.flush()
    os._exit(_EXIT_CODE)
