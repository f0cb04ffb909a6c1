"""Seven kinds of process trees, which say "ready" once they stand, and a way to see who of a run is alive.

It reads /proc itself: what it judges must not judge itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import trio

TREES = {
    "plain": "echo ready; exec sleep 999",
    "ignores TERM": "trap '' TERM; echo ready; while :; do sleep 999; done",
    "grandchild": "sh -c 'sleep 999 & echo ready; wait' & wait",
    "setsid child": "setsid sh -c 'echo ready; exec sleep 999' & wait",
    "double-fork daemon": "(setsid sh -c '(trap \"\" TERM; echo ready; exec sleep 999) &' &); exec sleep 999",
    "forks and exits 0": "trap '' TERM HUP; sleep 999 & echo ready; exit 0",
    "session hopper": f"{sys.executable} -I -S -c 'import os, time\n"
    "if os.fork():\n"
    "    time.sleep(999)\n"
    "hops = 0\n"
    "while True:\n"
    "    if os.fork():\n"
    "        os._exit(0)\n"
    "    os.setsid()\n"
    "    hops += 1\n"
    '    os.write(1, b"ready\\n" if hops == 5 else b"")\n'
    "    time.sleep(0.002)'",
}
"""Kind -> what a shell runs."""

SCANS = 3
"""Nobody is alive if this many looks in a row find nobody: who is just forking may be overlooked once."""


def alive(mark: str) -> dict[int, str]:
    """Pid -> command of everybody whose environment has this ``NAME=value``. The dead have no environment."""
    return dict(_alive(mark.encode()))


def _alive(mark: bytes) -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue


async def wait_gone(mark: str, seconds: float) -> None:
    """Returns when nobody with this mark is alive.

    Raises:
        AssertionError: somebody was, after so many seconds; says who.
    """
    scans = 0
    with trio.move_on_after(seconds):
        while scans < SCANS:
            found = alive(mark)
            scans = 0 if found else scans + 1
            for pid in found:
                await _wait_dead(pid)
            await trio.lowlevel.checkpoint()
        return
    raise AssertionError(f"alive after {seconds} s: {alive(mark)}")


async def _wait_dead(pid: int) -> None:
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        await trio.lowlevel.wait_readable(fd)
    finally:
        os.close(fd)
