"""Loading in a run's process: a file knows nothing of us, and has so many seconds.

Signals do in it what they do in any Python program; an alarm ends what takes too long.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, NoReturn

from trioflow.engine.ends import handling
from trioflow.engine.entrypoints import load_flow
from trioflow.engine.flows import Flow
from trioflow.engine.loading import TookTooLong
from trioflow.errors import EntrypointError

_AGAIN_SECONDS = 1.0


def loader(entrypoint: str | None, seconds: float) -> Callable[[str], Flow[..., Any]]:
    """What loads the flow in time.

    Where it is known which one, that is done now, outside of Trio: a file may do anything, call `trio.run` included.
    """
    load = partial(load_in_time, seconds=seconds)
    if entrypoint is None:
        return load
    try:
        flow = load(entrypoint)
    except EntrypointError as error:
        return partial(_refuse, error)
    return lambda _: flow


def _refuse(error: EntrypointError, _entrypoint: str) -> NoReturn:
    raise error


def load_in_time(entrypoint: str, seconds: float) -> Flow[..., Any]:
    """As `load_flow`, with an end after so many seconds. On the main thread only.

    Raises:
        EntrypointError: there is no such flow, or loading it took longer.
    """

    def expire(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TookTooLong(seconds)

    as_ever = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    with handling({**as_ever, signal.SIGALRM: expire}):
        try:
            # Again and again, since the file may catch what it does not know.
            signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
            return load_flow(entrypoint)
        finally:
            signal.signal(signal.SIGALRM, signal.SIG_IGN)  # One may be on its way.
            signal.setitimer(signal.ITIMER_REAL, 0)
