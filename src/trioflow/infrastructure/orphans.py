"""Orphans: processes of runs whose shim or runner was killed. They are known by their environment. Linux only.

A shim ends its tree when its runner dies, so there is nothing to find unless the shim was killed too. A process that
threw its environment away is not found: the fence of the store keeps its words out, and only that.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from trioflow.infrastructure.environment import EPOCH, FLOW_RUN_ID, HOME, RUNNER, read_owner
from trioflow.processes import is_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Environment = dict[str, str]

_PROC = Path("/proc")


async def sweep_orphans(home: Path, *, grace: float = 0.0) -> int:
    """Kill what dead runners of this home left behind, and return how many that were.

    For ``grace`` seconds, living shims may still end their trees in peace; what is left then is killed.
    """
    with trio.move_on_after(grace):
        await _gone(partial(_find, partial(_is_orphan, home)))
    return await _kill_all(partial(_is_orphan, home))


async def sweep_run(environment: Mapping[str, str]) -> int:
    """Kill all that still carries this run's id and epoch, and return how many that were."""
    names = (FLOW_RUN_ID, EPOCH, HOME, RUNNER)
    marks = {name: environment[name] for name in names if name in environment}
    return await _kill_all(lambda found: marks.items() <= found.items())


def _is_orphan(home: Path, found: Environment) -> bool:
    runner = read_owner(found.get(RUNNER, ""))
    return FLOW_RUN_ID in found and found.get(HOME) == str(home) and runner is not None and is_gone(runner)


async def _kill_all(belongs: Callable[[Environment], bool]) -> int:
    """Until none is found: a process that is being killed may have forked just before."""
    killed = 0
    while found := await trio.to_thread.run_sync(_find, belongs):
        for fd in found:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        await _all_over(found)
        killed += len(found)
    return killed


async def _gone(find: Callable[[], list[int]]) -> None:
    while found := await trio.to_thread.run_sync(find):
        await _all_over(found)


async def _all_over(pidfds: list[int]) -> None:
    """Returns when these processes are dead, reaped or not. Closes the descriptors."""
    try:
        for fd in pidfds:
            await trio.lowlevel.wait_readable(fd)
    finally:
        for fd in pidfds:
            os.close(fd)


def _find(belongs: Callable[[Environment], bool]) -> list[int]:
    """The pidfds of those whose environment ``belongs`` recognises: a pid may be another's by the time of the kill."""
    if sys.platform != "linux":
        return []
    pids = {int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()} - {os.getpid()}
    return [fd for pid in sorted(pids) if (fd := _open_if(pid, belongs)) is not None]


def _open_if(pid: int, belongs: Callable[[Environment], bool]) -> int | None:
    # The environment is read twice: before, because most are not meant; after, because the pid may have changed hands.
    if not belongs(_environment(pid)):
        return None
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return None
    if belongs(_environment(pid)):
        return fd
    os.close(fd)
    return None


def _environment(pid: int) -> Environment:
    """Empty if it is another user's, a zombie's, or nobody's."""
    try:
        text = (_PROC / str(pid) / "environ").read_bytes().decode(errors="surrogateescape")
    except OSError:
        return {}
    entries = (entry.partition("=") for entry in text.split("\0"))
    return {name: value for name, _, value in entries}
