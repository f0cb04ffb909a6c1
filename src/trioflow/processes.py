"""Who this process is, and whether another one still lives. Linux tells it exactly; elsewhere the pid must do."""

from __future__ import annotations

import os
import platform
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Protocol

from trioflow.core.leases import Owner

_PROC = Path("/proc")

# What the environment of a run's process says; no settings, hence the two underscores.
FLOW_RUN_ID = "TRIOFLOW__FLOW_RUN_ID"
"""The run, as 32 hex digits."""
EPOCH = "TRIOFLOW__EPOCH"
"""The token that the run's proposals carry, in decimal."""
LINK_FD = "TRIOFLOW__LINK_FD"
"""The file descriptor of the process's end of the link, in decimal."""
HOME = "TRIOFLOW__HOME"
"""The home whose run it is."""
ENTRYPOINT = "TRIOFLOW__FLOW_ENTRYPOINT"
"""Where the flow is loaded from, where the runner says it: ``path.py:function``."""
HOOKS = "TRIOFLOW__HOOKS"
"""Which of the run's states, counted from 1, its hooks are to be called for; without it, the run is to be run."""
RUNNER = "TRIOFLOW__RUNNER"
"""The process that started it: pid, start and host, between colons."""


@cache
def _host() -> str:
    # The boot id changes when pids start over; the pid namespace tells containers on one kernel apart.
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = (_PROC / "self/ns/pid").readlink()
    except OSError:
        return platform.node()
    return f"{boot}/{namespace}"


def _started(pid: int) -> int | None:
    """Ticks since boot at which the process started; None when there is none, 0 when nobody can tell."""
    if not _PROC.joinpath("self/stat").exists():
        return _started_without_proc(pid)
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    state, *rest = stat[stat.rindex(")") + 2 :].split()
    return None if state in {"Z", "X"} else int(rest[18])


def _started_without_proc(pid: int) -> int | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return 0
    return 0


class SimulatedProcess(Protocol):
    """A process that is a task of a simulation."""

    @property
    def owner(self) -> Owner:
        """As whom it owns leases."""
        ...

    def is_gone(self, owner: Owner) -> bool:
        """Whether another process of its simulation has ended."""
        ...


_simulated: ContextVar[SimulatedProcess | None] = ContextVar("trioflow simulated process", default=None)


@contextmanager
def act_as(process: SimulatedProcess) -> Generator[None]:
    """Within the block, and in tasks that are started from it, this process is ``process``. For simulations."""
    before = _simulated.set(process)
    try:
        yield
    finally:
        _simulated.reset(before)


def this_process() -> Owner:
    """This process, as the owner of a lease."""
    if (simulated := _simulated.get()) is not None:
        return simulated.owner
    return _owner(os.getpid())


@cache
def _owner(pid: int) -> Owner:
    return Owner(host=_host(), pid=pid, started=_started(pid) or 0)


def is_gone(owner: Owner) -> bool:
    """Whether it is certain that the owner has ended. On another host nothing is."""
    if (simulated := _simulated.get()) is not None:
        return simulated.is_gone(owner)
    return owner.host == _host() and _started(owner.pid) != owner.started
