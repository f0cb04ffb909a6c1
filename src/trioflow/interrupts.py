"""Ctrl-C before anything has begun: it ends the process, without a word.

Python would raise KeyboardInterrupt somewhere in its imports, which shows a traceback, or gets lost in a callback.
"""

from __future__ import annotations

import os
import signal

_INTERRUPTED = 130
"""As a shell counts a process that SIGINT ended."""


def leave_at_interrupt() -> None:
    """From now on Ctrl-C ends this process at once; not where it is ignored, as in the background of a script."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def raise_at_interrupt() -> None:
    """From now on Ctrl-C is what it is in any Python program."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(_number: int, _frame: object) -> None:
    os._exit(_INTERRUPTED)
