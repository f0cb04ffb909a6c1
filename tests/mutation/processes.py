"""A process of its own for whatever may hang, break what is imported, or eat all memory."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import traceback
from collections.abc import Callable
from typing import Any

MEMORY = 6 << 30
"""Bytes of address space, for a mutant that never stops collecting."""


def in_a_fork(work: Callable[[], Any], *, seconds: float | None = None) -> Any:
    """What ``work`` returns, done by a copy of this process; None if that did not live to tell.

    Args:
        work: what to do. Its answer is pickled.
        seconds: of CPU time that it may take; it may last ten times as long.
    """
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(work, theirs, seconds)
    os.close(theirs)
    with os.fdopen(ours, "rb") as answers:
        answer = answers.read()
    os.waitpid(pid, 0)
    return pickle.loads(answer) if answer else None


def _child(work: Callable[[], Any], theirs: int, seconds: float | None) -> None:
    status = 1
    try:
        if seconds is not None:
            _limit(seconds)
        answer = pickle.dumps(work())
        with os.fdopen(theirs, "wb") as to_parent:
            to_parent.write(answer)
        status = 0
    except BaseException:  # noqa: BLE001 - it is told, and the process ends
        traceback.print_exc()
    finally:
        os._exit(status)


def _limit(seconds: float) -> None:
    whole = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(10 * whole)
