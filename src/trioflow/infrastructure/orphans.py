"""Orphans: processes of runs whose shim or runner was killed. They are known by their environment. Linux only.

A shim ends its tree when its runner dies, so there is nothing to find unless the shim was killed too. Those whose
shim alone was killed come to a runner that adopts (`trioflow.infrastructure.adoption`). A process that
threw its environment away is not found: the fence of the store keeps its words out, and only that.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import trio

from trioflow.infrastructure.adoption import FAMILY
from trioflow.infrastructure.environment import read_owner
from trioflow.processes import EPOCH, FLOW_RUN_ID, HOME, RUNNER, is_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Environment: TypeAlias = dict[str, str]
Belongs: TypeAlias = "Callable[[Environment], bool]"

_QUIET_LOOKS = 3
_NO_SIGNAL = 0
"""Asks whether the process is there."""


async def sweep_orphans(home: Path, *, grace: float = 0.0) -> int:
    """Kill what dead runners of this home left behind, and return how many that were.

    For ``grace`` seconds, living shims may still end their trees in peace; what is left then is killed.
    """
    belongs = partial(_is_orphan, home)
    with trio.move_on_after(grace):
        await _signal_until_gone(belongs, _NO_SIGNAL)
    return await _signal_until_gone(belongs, signal.SIGKILL)


async def sweep_run(environment: Mapping[str, str]) -> int:
    """Kill all that still carries this run's id and epoch, and return how many that were."""
    names = (FLOW_RUN_ID, EPOCH, HOME, RUNNER)
    marks = {name: environment[name] for name in names if name in environment}
    return await _signal_until_gone(lambda found: marks.items() <= found.items(), signal.SIGKILL)


def _is_orphan(home: Path, found: Environment) -> bool:
    runner = read_owner(found.get(RUNNER, ""))
    return FLOW_RUN_ID in found and found.get(HOME) == str(home) and runner is not None and is_gone(runner)


async def _signal_until_gone(belongs: Belongs, number: int) -> int:
    """Returns when nobody is found any more, several times over: who is just forking may be overlooked.

    Nor is it quiet as long as adopted ones die: they may have left a child.
    """
    count = quiet = 0
    while quiet < _QUIET_LOOKS:
        pidfds = await trio.to_thread.run_sync(_signal_all, belongs, number)
        count += len(pidfds)
        await _wait_dead(pidfds)
        quiet = 0 if FAMILY.bury() or pidfds else quiet + 1
    return count


async def _wait_dead(pidfds: list[int]) -> None:
    """Returns when these processes are over, reaped or not. Closes the descriptors."""
    try:
        for pidfd in pidfds:
            await trio.lowlevel.wait_readable(pidfd)
    finally:
        for pidfd in pidfds:
            os.close(pidfd)


def _signal_all(belongs: Belongs, number: int) -> list[int]:
    """The pidfds of those whose environment ``belongs`` recognises. They have the signal already.

    It is a race with processes that live for a millisecond only, having forked. So the newest come first, each is
    signalled the moment that it is seen, and no paths are made. Adopted ones come before all others: a look at them
    takes no time.
    """
    if sys.platform != "linux":
        return []
    found = [_signal_if(belongs, pid, number) for pid in FAMILY.adopted()]
    names = os.listdir("/proc")  # noqa: PTH208 - see above
    pids = sorted((int(name) for name in names if name.isdecimal()), reverse=True)
    found += [_signal_if(belongs, pid, number) for pid in pids if pid != os.getpid()]
    return [pidfd for pidfd in found if pidfd is not None]


def _signal_if(belongs: Belongs, pid: int, number: int) -> int | None:
    # The environment is read again once the process is held: the pid may have been another's before.
    if not belongs(_environment(pid)):
        return None
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        if belongs(_environment(pid)):
            signal.pidfd_send_signal(pidfd, number)
            return pidfd
    except ProcessLookupError:
        pass
    os.close(pidfd)
    return None


def _environment(pid: int) -> Environment:
    """Empty if it is another user's, a zombie's, or nobody's."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - see `_signal_all`
            text = os.fsdecode(file.read())
    except OSError:
        return {}
    entries = (entry.partition("=") for entry in text.split("\0"))
    return {name: value for name, _, value in entries}
