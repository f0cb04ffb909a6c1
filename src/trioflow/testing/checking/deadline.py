"""Ends code that does not come to an end by itself: in a loop, asleep, behind a lock."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

_AGAIN_SECONDS = 0.1


class TooLong(BaseException):
    """The time is over. No `Exception`: code that goes on whatever happens would go on."""


@contextmanager
def within(seconds: float) -> Generator[None]:
    """Within the block there are so many seconds, of real time.

    On the main thread of a POSIX system an alarm ends whatever listens to signals. Elsewhere only Python code is ended.

    Raises:
        TooLong: they are over.
    """
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        with _alarm(seconds):
            yield
    else:
        with _interruption(seconds):
            yield


@contextmanager
def _alarm(seconds: float) -> Generator[None]:
    tracer = sys.gettrace()
    handler = signal.signal(signal.SIGALRM, _expire)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # One may be on its way.
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)
        sys.settrace(tracer)


def _expire(_number: int, frame: FrameType | None) -> NoReturn:
    """End the code; where it catches that, end it again, in the very line that does."""
    while frame is not None and frame.f_globals.get("__name__") != _ASKS:
        frame.f_trace = _refuse
        frame = frame.f_back
    sys.settrace(_go_on)
    raise TooLong


_ASKS = "trioflow.testing.checking.watching"


def _go_on(_frame: FrameType, _event: str, _argument: object) -> None:
    """New frames are not traced; but while nobody traces anything, nothing is."""


def _refuse(_frame: FrameType, event: str, _argument: object) -> Any:
    if event == "line":
        raise TooLong
    return _refuse


@contextmanager
def _interruption(seconds: float) -> Generator[None]:
    """See https://docs.python.org/3/c-api/init.html#c.PyThreadState_SetAsyncExc."""
    thread, raise_in = threading.get_ident(), ctypes.pythonapi.PyThreadState_SetAsyncExc
    timer = threading.Timer(seconds, raise_in, [ctypes.c_ulong(thread), ctypes.py_object(TooLong)])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
