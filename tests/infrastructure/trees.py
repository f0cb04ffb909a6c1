"""Seven kinds of process trees, which say "ready" once they stand, and a way to see who of a run is alive.

It reads /proc itself: what it judges must not judge itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import trio
from attrs import define, field

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


@define(eq=False)
class Tether:
    """A pipe that everybody in the trees of ``script`` holds an end of: its end proves that nobody is left.

    A look into /proc proves less: who forks and exits all the time may be overlooked.
    """

    _path: Path
    _stream: trio.lowlevel.FdStream = field(init=False)

    def __attrs_post_init__(self) -> None:
        os.mkfifo(self._path)
        self._stream = trio.lowlevel.FdStream(os.open(self._path, os.O_RDONLY | os.O_NONBLOCK))

    def script(self, kind: str) -> str:
        """What a shell runs to become a tree of this kind."""
        return f"exec 9>'{self._path}'; {TREES[kind]}"

    async def wait_nobody(self, marks: Sequence[str], seconds: float) -> None:
        """Returns when nobody is left, be it in a tree that stands, or on the way there and known by its mark.

        Raises:
            AssertionError: somebody was, after so many seconds; says who, of those who stay in sight.
        """
        with trio.move_on_after(seconds) as patience:
            for mark in marks:
                await _wait_dead(mark)
            assert await self._stream.receive_some() == b""
        await trio.aclose_forcefully(self._stream)
        assert not patience.cancelled_caught, [alive(mark) for mark in marks]


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


async def _wait_dead(mark: str) -> None:
    while found := alive(mark):
        for pid in found:
            with suppress(OSError), open_pidfd(pid) as pidfd:
                await trio.lowlevel.wait_readable(pidfd)


@contextmanager
def open_pidfd(pid: int) -> Iterator[int]:
    pidfd = os.pidfd_open(pid)
    try:
        yield pidfd
    finally:
        os.close(pidfd)
